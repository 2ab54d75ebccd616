"""Which minimum a start leads to: in one dimension, and as a map of starts in two."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from psgd_ref.core.arguments import Array
from psgd_ref.figures import style

WIDTHS = (4.0, 1.8, 1.0)


def ends(ax: Axes, starts: Array, ends_of: Mapping[str, Array], marks: Mapping[str, float]) -> None:
    """Draw where each start ends, one line a method, the first one widest so that equal lines show.

    Parameters
    ----------
    ax : Axes
        What is drawn on.
    starts : array
        Shape (m,).
    ends_of : mapping
        From the method's name to its ends, shape (m,).
    marks : mapping
        From a name to the height of a dotted line (a minimum, a target).
    """
    for (name, end), width in zip(ends_of.items(), WIDTHS, strict=False):
        ax.plot(starts, end, linewidth=width, label=name)
    for name, height in marks.items():
        ax.axhline(height, color=style.FAINT, linestyle=":", linewidth=1, zorder=0)
        ax.annotate(name, (starts[-1], height), xytext=(3, 0), textcoords="offset points", va="center")
    ax.set(xlabel="start", ylabel="end")
    ax.legend(loc="center right")


def basin_map(
    ax: Axes, side: Array, first: Array, minima: Mapping[str, Array], paths: Sequence[Array]
) -> None:
    """Shade the starts that end in the first minimum, name the minima, and draw some paths.

    Parameters
    ----------
    ax : Axes
        What is drawn on.
    side : array
        Coordinates of the starts, shape (m,), the same on both axes.
    first : array of bool
        Whether a start ends in the first minimum, shape (m, m); rows are w₂.
    minima : mapping
        From a name to a place, shape (2,).
    paths : sequence of array
        Each of shape (steps, 2), from the dot onwards.
    """
    ax.pcolormesh(side, side, first, cmap=ListedColormap(["white", "#CFE3F2"]), shading="nearest")
    for path in paths:
        ax.plot(path[:, 0], path[:, 1], color=style.VERMILION, linestyle="-", linewidth=1)
        ax.plot(*path[0], "o", color=style.VERMILION)
    for name, place in minima.items():
        ax.plot(*place, "*", color=style.INK, markersize=8)
        ax.annotate(name, (place[0], place[1]), xytext=(5, 4), textcoords="offset points", weight="bold")
    ends = side[[0, -1]]
    ax.set(aspect="equal", xlabel="$w_1$", ylabel="$w_2$", xlim=ends, ylim=ends)
    ax.set_xticks(np.arange(np.ceil(2 * ends[0]) / 2, ends[1], 0.5))
