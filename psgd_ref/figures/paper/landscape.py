"""The loss over a plane of weights: colour and contours, both logarithmic."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from psgd_ref.figures.style import COLORMAP, COLUMN, INK, styled


def draw(data: Mapping[str, Any]) -> Figure:
    """The plane that fits SGD, PSGD and what rounding makes of them, from one start."""
    common = data["common"]
    with styled():
        figure, ax = plt.subplots(figsize=(COLUMN, 3.5))
        norm = LogNorm(np.min(common["losses"]), np.max(common["losses"]))
        plane(ax, common, norm)
        for name, place in common["places"].items():
            rounded = name.endswith("rounded")
            ax.plot(
                *place["at"],
                "s" if name.startswith("PSGD") else "o",
                markersize=6,
                markerfacecolor="white" if rounded else INK,
                markeredgecolor=INK if rounded else "white",
                linestyle="none",
                label=f"{name}: {place['loss']:.2f}",
            )
        marks = [place["at"] for place in common["places"].values()]
        for start, end in ((marks[0], marks[1]), (marks[2], marks[3])):
            ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "white", "linewidth": 1})
        ax.set(xlabel="distance in $w$", ylabel="distance in $w$", aspect="equal")
        color_bar(figure, norm, ax)
        figure.legend(loc="outside lower center", ncols=2, fontsize=6.5, handletextpad=0.2)
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the picture shows, in words that need no other text."""
    places = data["common"]["places"]
    off = max(place["distance"] for place in places.values())
    return (
        "The cross-entropy of the convolutional network on the training digits (without the label "
        "smoothing of "
        "training) over the plane that fits four points "
        f"best: SGD and PSGD towards {data['bits']} bits from the same first weights (seed "
        f"{data['seed']}), and "
        f"both rounded to {data['bits']} bits (white marks, arrows). Colour and contours are logarithmic. "
        "Batch "
        "norms take the statistics of the training images at every point. The legend has the true losses; "
        f"the points lie up to {off:.2g} beside the plane, so that its colours under the marks may differ "
        "from them. "
        f"Rounding takes SGD from {places['SGD']['loss']:.2f} to {places['SGD, rounded']['loss']:.2f}, "
        "and PSGD from "
        f"{_psgd(places)['loss']:.2f} to {_psgd(places, ', rounded')['loss']:.2f}."
    )


def _psgd(places: Mapping[str, Any], suffix: str = "") -> Any:
    name = next(each for each in places if each.startswith("PSGD") and not each.endswith("rounded"))
    return places[name + suffix]


def plane(ax: Axes, data: Mapping[str, Any], norm: LogNorm) -> None:
    """Draw losses over coordinates a and b in colour and contours.

    Parameters
    ----------
    ax : Axes
        What is drawn on.
    data : mapping
        With "a", "b" and "losses".
    norm : LogNorm
        From losses to colours; losses beyond its limits are drawn at the limits.
    """
    a, b, losses = (np.array(data[key]) for key in ("a", "b", "losses"))
    shown = np.clip(losses, norm.vmin, norm.vmax)
    ax.pcolormesh(a, b, shown, norm=norm, cmap=COLORMAP, shading="nearest", rasterized=True)
    levels = np.geomspace(float(norm.vmin or 1), float(norm.vmax or 1), 12)[1:-1]
    ax.contour(a, b, shown, levels=levels, colors="white", linewidths=0.5, linestyles="-")


def color_bar(figure: Figure, norm: LogNorm, axes: Any, orientation: str = "vertical") -> None:
    """A bar for the colours, labelled at 1, 2 and 5."""
    bar = figure.colorbar(
        ScalarMappable(norm, COLORMAP), ax=axes, orientation=orientation, label="loss", shrink=0.85, aspect=25
    )
    axis = bar.ax.xaxis if orientation == "horizontal" else bar.ax.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
