"""The pruning comparison's picture: accuracy against sparsity, with spread."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from psgd_ref.figures.style import BLUE, DASHES, GREEN, INK, ORANGE, PAGE, SKY, VERMILION, letter, styled

COLORS = (INK, BLUE, VERMILION, GREEN, ORANGE, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P")
NONE = "none"


def draw(rows: Sequence[Any]) -> Figure:
    """A column for ways that retrain nothing and one for those that do; a line for each batch-norm treatment.

    Bars are one standard deviation over seeds. The first two ways without retraining (SGD and PSGD) stand in
    both columns.

    Parameters
    ----------
    rows : sequence
        With `method`, `sparsity`, `batch_norm`, `retraining` and `mean`, `sd` (0 … 1, None without spread).
    """
    rows = [row for row in rows if row.sparsity > 0]
    norms = list(dict.fromkeys(row.batch_norm for row in rows))[::-1]
    without = list(dict.fromkeys(row.method for row in rows if row.retraining == NONE))
    retrained = list(dict.fromkeys(row.method for row in rows if row.retraining != NONE))
    columns = [ways for ways in (without, [*without[:2], *retrained]) if ways]
    columns = columns if retrained and without else columns[:1]
    looks = {name: i for i, name in enumerate(without)}
    looks |= {name: i + 2 for i, name in enumerate(retrained)}
    with styled():
        figure, grid = plt.subplots(
            len(norms),
            len(columns),
            figsize=(PAGE, 0.6 + 2.3 * len(norms)),
            sharex=True,
            sharey=True,
            squeeze=False,
        )
        for line, norm in zip(grid, norms, strict=True):
            for ax, ways in zip(line, columns, strict=True):
                _panel(ax, [row for row in rows if row.batch_norm == norm], ways, looks)
        for ax in grid[:, 0]:
            ax.set_ylabel("test accuracy")
        for ax in grid[-1]:
            ax.set_xlabel("weights pruned")
        whats = ["Not retrained", "Retrained"][: len(columns)]
        letter(grid.flat, [f"{what}, batch norms {norm}" for norm in norms for what in whats])
        for ax in grid[0]:
            ax.legend(loc="lower left", fontsize=7)
        for ax in grid.flat:
            ax.title.set_fontsize(8)
    return figure


def _panel(ax: Axes, rows: Sequence[Any], ways: Sequence[str], looks: dict[str, int]) -> None:
    sparsities = sorted({row.sparsity for row in rows})
    for k, name in enumerate(ways):
        own = {row.sparsity: row for row in rows if row.method == name}
        look = looks[name]
        # Points at the same sparsity stand side by side, so that their bars can be told apart.
        place = np.array([i for i, sparsity in enumerate(sparsities) if sparsity in own])
        ax.errorbar(
            place + 0.07 * (k - (len(ways) - 1) / 2),
            [own[sparsity].mean for sparsity in sparsities if sparsity in own],
            [own[sparsity].sd or 0 for sparsity in sparsities if sparsity in own],
            color=COLORS[look % len(COLORS)],
            linestyle=DASHES[look % len(DASHES)],
            marker=MARKERS[look % len(MARKERS)],
            elinewidth=0.8,
            label=name,
        )
    ax.set_xticks(range(len(sparsities)), [f"{100 * sparsity:g} %" for sparsity in sparsities])
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_ylim(0, 1.03)
    ax.grid(axis="y")
