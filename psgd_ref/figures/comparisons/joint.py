"""The joint comparison's picture: accuracy by sparsity × bits, a panel for each way, one of learned bits."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psgd_ref.figures.style import PAGE, letter, styled

COLUMNS, GRIDS, NORMS = 3, ("none", "min-max"), ("re-estimated", "as trained")
# In inches.
LEARNED_HEIGHT = 1.7


def draw(rows: Sequence[Any]) -> Figure:
    """Mean test accuracy in per cent, in the middle of each field; dark is low. Min-max grids.

    Batch norms are re-estimated where the rows have that. Ways that are trained for one width each share a
    panel, which has a line for each width. Rows that also have `shares` and `widths`, one of each for every
    seed, are points of a last panel: where a method that learns both ended.

    Parameters
    ----------
    rows : sequence
        With `method`, `sparsity`, `precision`, `grid`, `batch_norm` and `mean` (0 … 1).
    """
    norm = next(norm for norm in NORMS if any(row.batch_norm == norm for row in rows))
    learned = [row for row in rows if row.batch_norm == norm and hasattr(row, "widths")]
    rows = [row for row in rows if row.batch_norm == norm and row.grid in GRIDS]
    precisions = list(dict.fromkeys(row.precision for row in rows))
    sparsities = sorted({row.sparsity for row in rows})
    panels: dict[str, dict[tuple[Any, float], float]] = {}
    for row in rows:
        name = _family(row) if _of_one_width(rows, row) else row.method
        panels.setdefault(name, {})[row.precision, row.sparsity] = row.mean
    lines, last = -(-len(panels) // COLUMNS), int(bool(learned))
    heights = [0.5 + 0.24 * len(precisions)] * lines + [LEARNED_HEIGHT] * last
    with styled():
        figure = plt.figure(figsize=(PAGE, 0.4 + sum(heights)))
        grid = figure.add_gridspec(lines + last, COLUMNS, height_ratios=heights)
        axes = [figure.add_subplot(grid[divmod(i, COLUMNS)]) for i in range(len(panels))]
        for ax, means in zip(axes, panels.values(), strict=True):
            _panel(ax, means, precisions, sparsities)
        titles = list(panels)
        if learned:
            axes.append(figure.add_subplot(grid[lines, :]))
            _learned(axes[-1], learned)
            titles.append(
                f"{learned[0].method.partition(',')[0]}: both learned, {len(learned)} costs of a bit"
            )
        letter(axes, titles)
    return figure


def _learned(ax: Axes, rows: Sequence[Any]) -> None:
    """A point for each seed; beside their middle the cost and the mean accuracy."""
    for row, marker in zip(rows, "osD^v", strict=False):
        pruned, values = 100 * np.array(row.shares), np.array(row.accuracies)
        ax.scatter(
            pruned,
            row.widths,
            26,
            values,
            marker=marker,
            cmap="cividis",
            vmin=0,
            vmax=1,
            edgecolors="black",
            linewidths=0.6,
        )
        text = f"{row.method.partition(', ')[2]}: {100 * row.mean:.0f} %"
        ax.annotate(text, (pruned.mean(), max(row.widths)), (0, 6), textcoords="offset points", ha="center")
    ax.set(xlim=(-5, 100), ylim=(0, 10), yticks=(2, 4, 8))
    ax.set_xlabel("weights pruned / %", labelpad=1)
    ax.set_ylabel("bits of the others")


def _of_one_width(rows: Sequence[Any], row: Any) -> bool:
    """Whether a row's way is only there at this row's bits."""
    same = {other.precision for other in rows if other.method == row.method}
    return same == {row.precision} and row.precision.weights is not None


def _family(row: Any) -> str:
    """The name of the ways that differ in their width alone: "… W3" becomes "… Wb"."""
    return f"{row.method.removesuffix(str(row.precision.weights))}b"


def _panel(
    ax: Axes,
    means: dict[tuple[Any, float], float],
    precisions: Sequence[Any],
    sparsities: Sequence[float],
) -> None:
    table = np.array([[means.get((p, sparsity), np.nan) for sparsity in sparsities] for p in precisions])
    ax.imshow(table, vmin=0, vmax=1, aspect="auto", cmap="cividis")
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            color = "black" if value > 0.55 else "white"
            ax.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=color, fontsize=7.5)
    ax.set_yticks(range(len(precisions)), [precision.label for precision in precisions])
    ax.set_xticks(range(len(sparsities)), [f"{100 * sparsity:g}" for sparsity in sparsities])
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.set_xlabel("weights pruned / %", labelpad=1)
