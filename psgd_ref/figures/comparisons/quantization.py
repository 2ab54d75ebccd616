"""The comparison's picture: test error by post-training method, each way to train beside the others."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from psgd_ref.figures.style import BLUE, GREEN, INK, PAGE, VERMILION, letter, styled

LOOKS = ((INK, "o"), (BLUE, "s"), (VERMILION, "^"), (GREEN, "D"))
REESTIMATED = "re-estimated"
# Per cent: errors of a good model and of guessing are a factor of forty apart, so the axis is logarithmic.
TICKS = (1, 2, 5, 10, 20, 50, 100)


def draw(rows: Sequence[Any]) -> Figure:
    """One panel for each precision but 8-bit weights; filled marks have re-estimated batch norms.

    Lower is better; bars are one standard deviation over seeds.

    Parameters
    ----------
    rows : sequence
        With `trained`, `post`, `batch_norm`, `precision`, `mean` and `sd` (0 … 1, None without spread).
    """
    quantized = [row for row in rows if row.post != "none"]
    every = list(dict.fromkeys(row.precision for row in quantized))
    panels = [precision for precision in every if precision.weights != 8] or every
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    with styled():
        figure, grid = plt.subplots(
            lines, columns, figsize=(PAGE, 0.5 + 1.9 * lines), sharey=True, sharex=True, squeeze=False
        )
        for ax, precision in zip(grid.flat, panels, strict=False):
            _panel(ax, [row for row in quantized if row.precision == precision])
        for ax in grid.flat[len(panels) :]:
            ax.set_visible(False)
        for ax in grid[:, 0]:
            ax.set_ylabel("test error (%)")
        letter(grid.flat, [str(precision) for precision in panels])
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _panel(ax: Axes, rows: Sequence[Any]) -> None:
    posts = list(dict.fromkeys(row.post for row in rows))
    trained = list(dict.fromkeys(row.trained for row in rows))
    for i, name in enumerate(trained):
        color, marker = LOOKS[i % len(LOOKS)]
        for norm in dict.fromkeys(row.batch_norm for row in rows):
            found = [row for row in rows if row.trained == name and row.batch_norm == norm]
            place = [posts.index(row.post) + 0.24 * (i - (len(trained) - 1) / 2) for row in found]
            place = [x + (0.05 if norm == REESTIMATED else -0.05) for x in place]
            ax.errorbar(
                place,
                [100 * (1 - row.mean) for row in found],
                [100 * (row.sd or 0) for row in found],
                linestyle="none",
                marker=marker,
                color=color,
                elinewidth=0.8,
                markerfacecolor=color if norm == REESTIMATED else "white",
                label=f"{name}, batch norms {norm}",
            )
    ax.set_xticks(np.arange(len(posts)), posts, rotation=45, ha="right")
    ax.set_yscale("log", nonpositive="clip")
    ax.set_yticks(TICKS, [str(tick) for tick in TICKS])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(TICKS[0], TICKS[-1])
    ax.grid(axis="y")
