"""The line of weights and its image under the warp, joined tick by tick."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from psgd_ref.core import Warp
from psgd_ref.core.arguments import Array
from psgd_ref.figures import style


def warped_line(ax: Axes, warp: Warp, low: float, high: float, ticks: int = 73) -> None:
    """Draw an even ruler of weights above its image y = f(w), both from the left to the right edge.

    Every tick is joined to its image; targets are thick with a dot, cell walls dashed. Wide spaces below are
    parts of the line that the warp stretches.

    Parameters
    ----------
    ax : Axes
        What is drawn on.
    warp : Warp
        The map f, with its targets.
    low, high : float
        Ends of the ruler, in the unit of the weights.
    ticks : int
        Of the ruler, both ends included.
    """

    def across(values: Array) -> Array:
        ends = warp(np.array([low, high]))
        return np.asarray((warp(values) - ends[0]) / (ends[1] - ends[0]))

    ruler = np.linspace(low, high, ticks)
    for w, y in zip(np.linspace(0, 1, ticks), across(ruler), strict=True):
        ax.plot([w, w, y, y], [1.12, 1, 0, -0.12], color=style.FAINT, linewidth=0.6, linestyle="-")

    targets = np.unique(warp.targets.nearest(np.linspace(low, high, 4001)))
    walls = (targets[1:] + targets[:-1]) / 2
    targets = targets[(low <= targets) & (targets <= high)]
    walls_look: dict[str, Any] = {"linestyle": (0, (4, 2)), "color": style.VERMILION, "linewidth": 1.2}
    targets_look: dict[str, Any] = {"linestyle": "-", "color": style.BLUE, "linewidth": 1.6}
    for values, look in ((walls, walls_look), (targets, targets_look)):
        for w, y in zip((values - low) / (high - low), across(values), strict=True):
            ax.plot([w, w, y, y], [1.2, 1, 0, -0.2], **look)
    ax.plot((targets - low) / (high - low), np.full(targets.size, 1.2), "o", color=style.BLUE, clip_on=False)
    ax.plot(across(targets), np.full(targets.size, -0.2), "o", color=style.BLUE, clip_on=False)

    ax.set(xlim=(-0.02, 1.02), ylim=(-0.32, 1.32), yticks=[1.1, -0.1])
    ax.set_yticklabels(["$w$", "$y=f(w)$"])
    ax.set_xticks((targets - low) / (high - low), [f"${target + 0:g}$" for target in targets])
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
