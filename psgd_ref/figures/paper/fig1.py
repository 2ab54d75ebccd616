"""Fig. 1: quantization error and classification error against bits, and one layer's weights."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from psgd_ref.figures.style import BLUE, COLUMN, INK, VERMILION, letter, styled

LOOKS: dict[str, dict[str, Any]] = {
    "SGD": {"color": "#4D4D4D", "marker": "o", "linestyle": "-"},
    "PSGD → W3": {"color": BLUE, "marker": "s", "linestyle": "--"},
    "PSGD → W2": {"color": VERMILION, "marker": "^", "linestyle": "-."},
}
FILLS = {"SGD": "#4D4D4D", "PSGD → W3": "#8FC3E6", "PSGD → W2": "white"}


def draw(data: Mapping[str, Any]) -> Figure:
    """Three rows at column width.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.fig1.run` gives it.
    """
    with styled():
        figure = plt.figure(figsize=(COLUMN, 5.4))
        upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(2.1, 1)))
        squared, error = upper.subplots(2, 1, sharex=True)
        _squared(squared, data)
        _errors(error, data)
        panels = lower.subplots(1, 2, sharey=True)
        for ax, (name, histogram) in zip(panels, data["histograms"].items(), strict=True):
            _histogram(ax, histogram, BLUE if name != "SGD" else "#4D4D4D")
        panels[0].set_ylabel("weights")
        titles = ["Error of the weights", "Test error", *data["histograms"]]
        letter([squared, error, *panels], titles)
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    place = data["widths"].index(data["bits"])
    means = {
        name: np.mean([row[place] for row in method["error"]]) for name, method in data["methods"].items()
    }
    full = ", ".join(
        f"{name} {np.mean([row[0] for row in method['error']]):.1%}"
        for name, method in data["methods"].items()
    )
    own = f"PSGD → W{data['bits']}"
    return (
        "A convolutional network on the digits, rounded after training to the number of bits on the axis "
        "(min-max grid, first and last layer 8 bits below 4, batch norms re-estimated); PSGD → W3 was "
        "trained towards a 3-bit grid, PSGD → W2 towards a 2-bit grid. Bars: one standard deviation over "
        f"{len(data['seeds'])} seeds. (a) Mean squared error of the rounded weights in units of their mean "
        f"square. (b) Error on the test images; in full precision {full}. At {data['bits']} bits SGD errs on "
        f"{means['SGD']:.1%} and {own} on {means[own]:.1%}. (c, d) The weights of {data['layer']} in "
        "units of "
        f"the step Δ of their {data['bits']}-bit grid, counts on a logarithmic scale; dots: what rounding "
        "makes of them. PSGD's weights stand at the levels, but the distances between its peaks are not "
        "empty, which a linear scale would hide."
    )


def _squared(ax: Axes, data: Mapping[str, Any]) -> None:
    for i, (name, method) in enumerate(data["methods"].items()):
        values = np.array(method["relative"])[:, 1:]
        place = np.arange(values.shape[1]) + 0.08 * (i - 1)
        ax.errorbar(place, values.mean(axis=0), _spread(values), capsize=2, label=name, **LOOKS[name])
    ax.set_yscale("log")
    ax.set_ylabel("squared error\n/ mean square")
    ax.grid(axis="y")
    ax.legend(loc="lower right")


def _errors(ax: Axes, data: Mapping[str, Any]) -> None:
    for i, (name, method) in enumerate(data["methods"].items()):
        values = np.array(method["error"])[:, 1:]
        place = np.arange(values.shape[1]) + 0.26 * (i - 1)
        ax.bar(
            place,
            values.mean(axis=0),
            0.24,
            color=FILLS[name],
            edgecolor=LOOKS[name]["color"],
            hatch="////" if FILLS[name] == "white" else None,
            label=name,
        )
        ax.errorbar(place, values.mean(axis=0), _spread(values), fmt="none", ecolor=INK, elinewidth=0.8)
    ax.set_yscale("log")
    ax.set_ylim(0.01, 1.2)
    ax.set_xticks(range(len(data["widths"]) - 1), [str(bits) for bits in data["widths"][1:]])
    ax.set(xlabel="bits", ylabel="test error")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.grid(axis="y")


def _histogram(ax: Axes, histogram: Mapping[str, Any], color: str) -> None:
    ax.stairs(histogram["counts"], histogram["edges"], fill=True, color=color, alpha=0.6, baseline=0.5)
    ax.plot(histogram["levels"], histogram["codes"], "o", color=INK)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.5)
    ax.set_xticks(histogram["levels"])
    ax.set_xlabel("weight / Δ")


def _spread(values: Any) -> Any:
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
