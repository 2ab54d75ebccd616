"""The loss on the way from the weights to their grid, straight in w and straight in the warped space."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from psgd_ref.figures.style import BLUE, COLUMN, FAINT, letter, styled

LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#4D4D4D", "linestyle": "-"},
    {"color": BLUE, "linestyle": "--"},
)


def draw(data: Mapping[str, Any]) -> Figure:
    """Two panels.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.landscape` gives it.
    """
    with styled():
        figure, axes = plt.subplots(1, 2, figsize=(COLUMN, 2.3), sharey=True)
        for ax, key in zip(axes, ("w", "y"), strict=True):
            for place in (0, 1):
                ax.axvline(place, color=FAINT, linewidth=0.9, linestyle=":", zorder=0)
            for (name, way), look in zip(data["ways"].items(), LOOKS, strict=False):
                ax.plot(way["way"], way[key], label=name, **look)
            ax.set_xticks([0, 1], ["$w$" if key == "w" else "$y$", "grid"])
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
        axes[0].set_ylabel("loss")
        axes[0].legend(loc="upper center", fontsize=7, handlelength=1.8)
        letter(axes, ["straight in $w$", "straight in $y$"])
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    ends = []
    for name, way in data["ways"].items():
        start, end = np.interp([0, 1], way["way"], way["w"])
        ends.append(f"{name} {start:.2f} → {end:.2f}")
    return (
        "The cross-entropy of the training images on the way from the trained weights to the "
        f"{data['bits']}-bit grid and half "
        "as far "
        "beyond both ends. (a) Straight in the weights, w + t(w̄ − w). (b) Straight in the warped space, "
        "F⁻¹(F(w) + t(F(w̄) − F(w))): both ways have the same ends. Loss at the weights and on the grid: "
        f"{'; '.join(ends)}."
    )
