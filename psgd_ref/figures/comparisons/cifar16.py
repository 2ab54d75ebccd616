"""What training towards 2 bits gives over rounding SGD's model, and what it leaves at other widths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, FAINT, GREEN, INK, ORANGE, PAGE, SKY, VERMILION, letter, styled

KINDS = {"PSGD": BLUE, "pull without PSGD's scale": ORANGE, "LSQ": VERMILION, "SGD": INK}
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": INK, "marker": "o", "linestyle": "-"},
    {"color": SKY, "marker": "s", "linestyle": "--"},
    {"color": BLUE, "marker": "D", "linestyle": "-"},
    {"color": GREEN, "marker": "v", "linestyle": "-."},
    {"color": VERMILION, "marker": "^", "linestyle": ":"},
)


def draw(
    gains: Sequence[tuple[str, str, float, float, float]],
    curves: Sequence[tuple[str, Sequence[Sequence[float]]]],
    widths: Sequence[str],
) -> Figure:
    """Points gained at 2 bits with 95 % intervals, and accuracy of some of these models at every width.

    Parameters
    ----------
    gains : sequence of (name, kind of `KINDS`, mean, low, high)
        Against SGD's model, in points.
    curves : sequence of (name, accuracies by width and seed)
        0 … 1; as many as there are `LOOKS` at most.
    widths : sequence of str
        Names of the curves' widths.
    """
    with styled():
        figure = Figure(figsize=(PAGE, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        order = sorted(gains, key=lambda gain: gain[2])
        for i, (_, kind, mean, low, high) in enumerate(order):
            left.errorbar(
                mean,
                i,
                xerr=[[mean - low], [high - mean]],
                fmt="o",
                color=KINDS[kind],
                capsize=2,
                markersize=4,
            )
        left.axvline(0, color=FAINT, linewidth=1, zorder=0)
        left.set_yticks(range(len(order)), [name for name, *_ in order])
        left.set_xlabel("points of test accuracy at 2 bits, against rounding SGD's model")
        left.grid(axis="x")
        for kind, color in KINDS.items():
            if any(own == kind for _, own, *_ in order):
                left.plot([], [], "o", color=color, label=kind, markersize=4)
        left.legend(loc="lower right")
        for (name, accuracies), look in zip(curves, LOOKS, strict=False):
            values = 100 * np.array(accuracies)
            right.errorbar(
                range(len(widths)),
                values.mean(axis=1),
                values.std(axis=1, ddof=1),
                capsize=2,
                label=name,
                **look,
            )
        right.set_xticks(range(len(widths)), list(widths))
        right.set_ylabel("test accuracy in %")
        right.grid(axis="y")
        right.legend(loc="lower left")
        letter([left, right], ["Trained towards 2 bits", "The same models at every width"])
    return figure
