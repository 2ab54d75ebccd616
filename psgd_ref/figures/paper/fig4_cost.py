"""Fig. 4(b), the cost of rounding: the two terms of its expansion stacked, beside the truth."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from psgd_ref.figures.style import BLUE, COLUMN, INK, styled

SLOPE, BEND = "white", "#8FC3E6"


def draw(data: Mapping[str, Any]) -> Figure:
    """A row for each network, a column for each width.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.fig4.run` gives it.
    """
    networks = {"perceptron": _last(data["perceptron"]), "convnet": data["convnet"]}
    with styled():
        figure, axes = plt.subplots(2, len(data["widths"]), figsize=(COLUMN, 3.9))
        for row, (network, methods) in zip(axes, networks.items(), strict=True):
            for ax, bits in zip(row, data["widths"], strict=True):
                _panel(ax, methods, bits)
                ax.set_title(f"{network}, W{bits}", fontsize=7.5, loc="center")
            row[0].set_ylabel("added loss")
        handles = [
            Patch(facecolor=BEND, edgecolor=BLUE, label="½ qᵀHq"),
            Patch(facecolor=SLOPE, edgecolor=BLUE, hatch="////", label="g·q"),
            Patch(facecolor="#4D4D4D", label="true"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=1.4)
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    bits = data["bits"]
    last = _last(data["perceptron"])
    parts = []
    for name, own in last.items():
        predicted = np.mean(own[f"slope_W{bits}"]) + np.mean(own[f"bend_W{bits}"])
        parts.append(f"{name} {predicted:.2f} predicted, {np.mean(own[f'true_W{bits}']):.2f} true")
    return (
        "What rounding to 4, 3 and 2 bits adds to the training loss (dark, right bar), beside the two "
        "terms of "
        "its expansion g·q + ½qᵀHq, q = w̄ − w (claim F3; left bar, stacked); mean and standard deviation "
        "over "
        f"{len(data['seeds'])} seeds, for SGD and for PSGD trained towards 3 or 2 bits. Batch norms take the "
        "statistics of the training images before and after. Scales differ from panel to panel. Where the "
        "bars agree "
        "the cost is that of a quadratic; where rounding is coarse the way is too long for an expansion at "
        f"its start ({bits} bits, perceptron: {'; '.join(parts)})."
    )


def _last(methods: Mapping[str, Any]) -> dict[str, Any]:
    """The values after the last step of runs that were followed."""
    return {
        name: {
            key: [row[-1] for row in values]
            for key, values in method.items()
            if key.startswith(("slope", "bend", "squared_W", "true", "top"))
        }
        for name, method in methods.items()
    }


def _panel(ax: Axes, methods: Mapping[str, Mapping[str, Sequence[float]]], bits: int) -> None:
    names = list(methods)
    for i, name in enumerate(names):
        own = {term: np.array(methods[name][f"{term}_W{bits}"]) for term in ("slope", "bend", "true")}
        bend, slope, true = own["bend"].mean(), own["slope"].mean(), own["true"].mean()
        # Terms of one sign stand on one another, those of two signs on either side of zero.
        base = bend if slope * bend > 0 else 0.0
        ax.bar(i - 0.2, bend, 0.36, color=BEND, edgecolor=BLUE, linewidth=0.8)
        ax.bar(i - 0.2, slope, 0.36, bottom=base, color=SLOPE, edgecolor=BLUE, linewidth=0.8, hatch="/////")
        ax.bar(i + 0.2, true, 0.36, color="#4D4D4D")
        if len(own["true"]) > 1:
            sums = own["bend"] + own["slope"]
            spreads = [sums.std(ddof=1), own["true"].std(ddof=1)]
            ax.errorbar(
                [i - 0.2, i + 0.2], [sums.mean(), true], spreads, fmt="none", ecolor=INK, elinewidth=0.7
            )
    ax.axhline(0, color=INK, linewidth=0.6, linestyle="-")
    ax.set_xticks(range(len(names)), [name.removeprefix("PSGD → ") for name in names], fontsize=7)
    ax.tick_params(axis="y", labelsize=6.5)
    ax.locator_params(axis="y", nbins=4)
