"""The joint comparison's picture: accuracy by sparsity × bits, a panel for each way."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psgd_ref.figures.style import PAGE, letter, styled

COLUMNS, GRIDS, NORMS = 3, ("none", "min-max"), ("re-estimated", "as trained")
FULL = "full"


def draw(rows: Sequence[Any]) -> Figure:
    """Mean test accuracy in per cent, in the middle of each field; dark is low. Min-max grids.

    rows : with `method`, `sparsity`, `bits`, `grid`, `batch_norm` and `mean` (0 … 1)
    Batch norms are re-estimated where the rows have that. Ways that are trained for one width each share a
    panel, which has a line for each width.
    """
    norm = next(norm for norm in NORMS if any(row.batch_norm == norm for row in rows))
    rows = [row for row in rows if row.batch_norm == norm and row.grid in GRIDS]
    bits = list(dict.fromkeys(row.bits for row in rows))
    shares = sorted({row.sparsity for row in rows})
    panels: dict[str, dict[tuple[str, float], float]] = {}
    for row in rows:
        name = row.method if row.bits == FULL or not _of_one_width(rows, row.method) else _family(row.method)
        panels.setdefault(name, {})[row.bits, row.sparsity] = row.mean
    lines = -(-len(panels) // COLUMNS)
    with styled():
        figure, grid = plt.subplots(
            lines, COLUMNS, figsize=(PAGE, 0.4 + (0.5 + 0.24 * len(bits)) * lines), squeeze=False
        )
        for ax, means in zip(grid.flat, panels.values(), strict=False):
            _panel(ax, means, bits, shares)
        for ax in grid.flat[len(panels) :]:
            ax.set_visible(False)
        letter(grid.flat, list(panels))
    return figure


def _of_one_width(rows: Sequence[Any], name: str) -> bool:
    return len({row.bits for row in rows if row.method == name}) == 1


def _family(name: str) -> str:
    """The name of the ways that differ in their width alone: "… W3" becomes "… Wb"."""
    return f"{name.rstrip('0123456789')}b"


def _panel(
    ax: Axes, means: dict[tuple[str, float], float], bits: Sequence[str], shares: Sequence[float]
) -> None:
    table = np.array([[means.get((width, share), np.nan) for share in shares] for width in bits])
    ax.imshow(table, vmin=0, vmax=1, aspect="auto", cmap="cividis")
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            color = "black" if value > 0.55 else "white"
            ax.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=color, fontsize=7.5)
    names = ["full" if width == FULL else width.removesuffix("A32") for width in bits]
    ax.set_yticks(range(len(bits)), names)
    ax.set_xticks(range(len(shares)), [f"{100 * share:g}" for share in shares])
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xlabel("weights pruned / %", labelpad=1)
