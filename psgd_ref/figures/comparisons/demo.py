"""The demonstration's picture: accuracy and error against bits, and what the weights look like."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from psgd_ref.figures.course.weights import weight_histogram
from psgd_ref.figures.style import BLUE, FAINT, GREEN, INK, PAGE, VERMILION, letter, styled

LOOKS: dict[str, dict[str, Any]] = {
    "SGD": {"color": INK, "linestyle": "-", "marker": "o"},
    "SGD + MSE clipping": {"color": INK, "linestyle": ":", "marker": "o", "markerfacecolor": "white"},
    "PSGD → W3": {"color": BLUE, "linestyle": "--", "marker": "s"},
    "PSGD → W2": {"color": VERMILION, "linestyle": "-.", "marker": "^"},
    "PSGD + grid decay → W2": {"color": GREEN, "linestyle": "-", "marker": "v"},
}


def draw(rows: Sequence[Any], histograms: Sequence[Any]) -> Figure:
    """Accuracy and relative quantization error against bits, above; one layer's weights, below.

    Bars and bands are one standard deviation over seeds. Histograms have logarithmic counts.

    Parameters
    ----------
    rows : sequence
        With `method`, and `accuracy` (0 … 1) and `error` by precision, a list over seeds each.
    histograms : sequence
        With `method`, `bits`, `weights` in units of Δ and their integer `codes`.
    """
    with styled():
        figure = plt.figure(figsize=(PAGE, 4.9))
        upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(1.15, 1)))
        accuracy, error = upper.subplots(1, 2)
        _lines(accuracy, rows, "accuracy")
        accuracy.yaxis.set_major_formatter(PercentFormatter(1.0))
        accuracy.set_ylabel("test accuracy")
        accuracy.legend(loc="lower left")
        _lines(error, rows, "error")
        error.axhline(1, color=FAINT, linewidth=1, zorder=0)
        error.set_ylim(bottom=0)
        error.set_ylabel("quantization error / (Δ²/12)")
        axes = lower.subplots(1, len(histograms), sharey=True)
        for ax, histogram in zip(axes, histograms, strict=True):
            weight_histogram(ax, histogram.weights, histogram.codes, histogram.bits)
        axes[0].set_ylabel("weights (log scale)")
        lower.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        titles = ["Accuracy after rounding to fewer bits", "Error (1: weights uniform in their cells)"]
        names = [h.method.partition(" → ")[0].removeprefix("PSGD + ") for h in histograms]
        titles += [f"{name}, {h.bits} bits" for name, h in zip(names, histograms, strict=True)]
        letter([accuracy, error, *axes], titles)
    return figure


def _lines(ax: Axes, rows: Sequence[Any], quantity: str) -> None:
    columns = list(getattr(rows[0], quantity))
    for i, row in enumerate(rows):
        values = np.array([getattr(row, quantity)[column] for column in columns])
        spread = values.std(axis=1, ddof=1) if values.shape[1] > 1 else np.zeros(len(columns))
        # Points at the same width stand side by side, so that their bars can be told apart.
        place = np.arange(len(columns)) + 0.06 * (i - (len(rows) - 1) / 2)
        ax.errorbar(place, values.mean(axis=1), spread, capsize=2, label=row.method, **LOOKS[row.method])
    names = ["full\nprecision" if p.weights is None else f"{p.weights} bits" for p in columns]
    ax.set_xticks(range(len(columns)), names)
    ax.grid(axis="y")
