"""The comparison's picture: accuracy by post-training method, each way to train beside the others."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from psgd_ref.figures.style import BLUE, GREEN, INK, PAGE, VERMILION, letter, styled

LOOKS = ((INK, "o"), (BLUE, "s"), (VERMILION, "^"), (GREEN, "D"))
MENDED = "re-estimated"


def draw(rows: Sequence[Any]) -> Figure:
    """One panel for each precision but 8-bit weights; filled marks have re-estimated batch norms.

    rows : with `trained`, `post`, `batch_norm`, `bits`, `mean` and `sd` (0 … 1, None without spread)
    Bars are one standard deviation over seeds.
    """
    quantized = [row for row in rows if row.post != "none"]
    every = list(dict.fromkeys(row.bits for row in quantized))
    panels = [bits for bits in every if not bits.startswith("W8")] or every
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    with styled():
        figure, grid = plt.subplots(
            lines, columns, figsize=(PAGE, 0.5 + 1.9 * lines), sharey="row", sharex=True, squeeze=False
        )
        for ax, bits in zip(grid.flat, panels, strict=False):
            _panel(ax, [row for row in quantized if row.bits == bits])
        for ax in grid.flat[len(panels) :]:
            ax.set_visible(False)
        for ax in grid[:, 0]:
            ax.set_ylabel("test accuracy")
        letter(grid.flat, panels)
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
            place = [x + (0.05 if norm == MENDED else -0.05) for x in place]
            ax.errorbar(
                place,
                [row.mean for row in found],
                [row.sd or 0 for row in found],
                linestyle="none",
                marker=marker,
                color=color,
                elinewidth=0.8,
                markerfacecolor=color if norm == MENDED else "white",
                label=f"{name}, {norm}",
            )
    ax.set_xticks(np.arange(len(posts)), posts, rotation=45, ha="right")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_ylim(0, 1.04)
    ax.grid(axis="y")
