"""Cells of two weights and their images: where the warp stretches area and where it squeezes it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Normalize

from psgd_ref.core import Warp
from psgd_ref.core.arguments import Array
from psgd_ref.figures import style


def cells(axes: Sequence[Axes], warp: Warp, cells_across: int = 2, tiles: int = 8) -> PolyCollection:
    """Tile the plane of two weights evenly (left), and draw the image of every tile (right).

    Both panels share their unit. The shade is log₂ of the factor by which the warp multiplies a tile's area.
    Thick lines are cell walls, dots are targets.

    Parameters
    ----------
    axes : sequence of Axes
        The left panel and the right one.
    warp : Warp
        On a uniform grid of spacing `warp.targets.mean_gap()`.
    cells_across : int
        Cells along each side of the plane.
    tiles : int
        Tiles along each side of a cell.

    Returns
    -------
    PolyCollection
        The right panel's tiles, for a colour bar.
    """
    gap = warp.targets.mean_gap()
    edges = np.linspace(-0.5 * gap, (cells_across - 0.5) * gap, cells_across * tiles + 1)
    images = warp(edges)
    # A tile is a product of two intervals, and so is its image: its factor is the product of theirs.
    growth = np.log2(np.diff(images) / np.diff(edges))
    shade = growth[:, None] + growth[None, :]
    limit = float(np.abs(shade).max())
    for ax, lines in zip(axes, (edges, images), strict=True):
        tiles_drawn = PolyCollection(
            list(_squares(lines)),
            array=shade.ravel(),
            norm=Normalize(-limit, limit),
            edgecolors="white",
            linewidths=0.4,
        )
        ax.add_collection(tiles_drawn)
        for wall in lines[::tiles]:
            ax.axvline(wall, color=style.INK, linewidth=1.4, linestyle="-")
            ax.axhline(wall, color=style.INK, linewidth=1.4, linestyle="-")
        middle = lines[tiles // 2 :: tiles]
        ax.plot(*np.meshgrid(middle, middle), "o", color="white", markeredgecolor=style.INK, linestyle="none")
        ax.set(aspect="equal", xlim=lines[[0, -1]], ylim=lines[[0, -1]])
    axes[0].set(xlabel="$w_1$", ylabel="$w_2$")
    axes[1].set(xlabel="$y_1$", ylabel="$y_2$")
    return tiles_drawn


def _squares(lines: Array) -> Array:
    """Corners of all products of neighbouring intervals, shape (tiles², 4, 2)."""
    x0, y0 = np.meshgrid(lines[:-1], lines[:-1], indexing="ij")
    x1, y1 = np.meshgrid(lines[1:], lines[1:], indexing="ij")
    corners = [np.stack(p, axis=-1) for p in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    return np.stack(corners, axis=-2).reshape(-1, 4, 2)
