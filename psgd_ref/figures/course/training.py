"""The summary of a training run: losses, accuracies, rates, and where the weights lie."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from psgd_ref.figures.style import BLUE, FAINT, INK, PAGE, letter, styled


def draw(metrics: Sequence[dict[str, Any]]) -> Figure:
    """Four panels against epochs, from the lines of a run's metrics.jsonl.

    Parameters
    ----------
    metrics : sequence of dict
        At least one line. Each has `epoch`, `loss`, `validation_loss`, `validation_accuracy`, the validation
        accuracy of the rounded weights (the same name with _W and the bits), `effective_rate`,
        `mean_distance` and `moved`.

    Returns
    -------
    Figure
        As wide as the page.
    """
    rounded = next(name for name in metrics[0] if name.startswith("validation_accuracy_W"))
    bits = rounded.removeprefix("validation_accuracy_W")
    with styled():
        figure, axes = plt.subplots(2, 2, figsize=(PAGE, 4.2), sharex=True)
        loss, right, rate, place = axes.ravel()
        _lines(loss, metrics, {"training": "loss", "validation": "validation_loss"})
        _lines(right, metrics, {"full precision": "validation_accuracy", f"{bits} bits": rounded})
        _lines(rate, metrics, {"": "effective_rate"})
        _lines(place, metrics, {"mean d/Δ": "mean_distance", "share that moved": "moved"})
        right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        # At the end of a cosine the rate may be too small for any logarithm to show.
        rate.set_yscale("symlog", linthresh=1e-6)
        place.axhline(0.25, color=FAINT, linewidth=1, zorder=0)
        place.set_ylim(bottom=0)
        for ax in (rate, place):
            ax.set_xlabel("epoch")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        titles = ["Mean cross-entropy", "Validation accuracy", "Effective rate η · mean(s)"]
        letter(axes.ravel(), [*titles, f"Weights on the {bits}-bit grid (grey: uniform)"])
    return figure


def _lines(ax: Axes, metrics: Sequence[dict[str, Any]], names: dict[str, str]) -> None:
    epochs = [line["epoch"] for line in metrics]
    marker = "o" if len(metrics) < 30 else None
    for (label, name), color, dash in zip(names.items(), (INK, BLUE), ("-", "--"), strict=False):
        values = np.array([line[name] for line in metrics])
        ax.plot(epochs, values, color=color, linestyle=dash, marker=marker, label=label)
    ax.grid(axis="y")
    if len(names) > 1:
        ax.legend()
