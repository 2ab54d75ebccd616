"""What training towards 2 bits gives over rounding SGD's model, and what it leaves at other widths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, FAINT, GREEN, INK, ORANGE, PAGE, SKY, VERMILION, letter, styled

KINDS = {"PSGD": BLUE, "the same pull, no scale": ORANGE, "LSQ": VERMILION, "SGD": INK}
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": INK, "marker": "o", "linestyle": "-"},
    {"color": SKY, "marker": "s", "linestyle": "--"},
    {"color": BLUE, "marker": "D", "linestyle": "-"},
    {"color": GREEN, "marker": "v", "linestyle": "-."},
    {"color": VERMILION, "marker": "^", "linestyle": ":"},
)


def draw(
    gains: Sequence[tuple[str, str, float, float, float]],
    curves: Sequence[tuple[str, int, Sequence[Sequence[float]]]],
    widths: Sequence[str],
) -> Figure:
    """Points gained at 2 bits with their intervals, and accuracy of some of these models at every width.

    Parameters
    ----------
    gains : sequence of (name, kind of `KINDS`, mean, low, high)
        Against SGD's model, in points; from low to high is the 95 % interval, of two seeds the range.
    curves : sequence of (name, place of its look in `LOOKS`, accuracies by width and seed)
        0 … 1; a model has the same look in every picture.
    widths : sequence of str
        Names of the curves' widths.
    """
    with styled():
        figure = Figure(figsize=(PAGE, 3.9), layout="constrained")
        one, other = np.asarray(figure.subfigures(1, 2, width_ratios=(1.3, 1)))
        left, right = one.subplots(), other.subplots()
        order = sorted(gains, key=lambda gain: gain[2])
        for i, (_, kind, mean, low, high) in enumerate(order):
            look = {"color": KINDS[kind], "markersize": 4, "capsize": 2}
            left.errorbar(mean, i, xerr=[[mean - low], [high - mean]], fmt="o", **look)
        left.axvline(0, color=FAINT, linewidth=1, zorder=0)
        left.set_yticks(range(len(order)), [name for name, *_ in order])
        left.set_xlabel("points gained at 2 bits")
        left.grid(axis="x")
        for kind in dict.fromkeys(kind for _, kind, *_ in order):
            left.plot([], [], "o", color=KINDS[kind], label=kind, markersize=4)
        one.legend(loc="outside lower center", ncols=2)
        for name, place, accuracies in curves:
            values = 100 * np.array(accuracies)
            mean, spread = values.mean(axis=1), values.std(axis=1, ddof=1)
            right.errorbar(range(len(widths)), mean, spread, capsize=2, label=name, **LOOKS[place])
        right.set_xticks(range(len(widths)), list(widths))
        right.set_ylabel("test accuracy in %")
        right.grid(axis="y")
        other.legend(loc="outside lower center")
        letter([left, right], ["Against rounding SGD's model", "At every width"])
    return figure
