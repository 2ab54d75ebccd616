"""Time and memory of a training step against what makes it larger, on logarithmic axes."""

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Protocol

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from psgd_ref.figures.style import BLUE, FAINT, INK, PAGE, styled

TITLES = {"batch": "batch", "width": "width", "depth": "depth", "threads": "threads", "weights": "PSGD step"}
WORDS = {
    "batch": "images in a batch",
    "width": "channels",
    "depth": "layers",
    "threads": "threads",
    "weights": "weights",
}
IDEAL_THREADS = {"seconds": -1, "bytes": 0}
UNITS = {"seconds": ("ms a step", 1e3, INK, "o", "-"), "bytes": ("MB", 1e-6, BLUE, "s", "--")}


class Point(Protocol):
    """A measurement, as `psgd_ref.experiments.benchmark.growth.Point`."""

    @property
    def axis(self) -> str: ...
    @property
    def value(self) -> int: ...


class Growth(Protocol):
    """Points, and slopes of their logarithms."""

    @property
    def points(self) -> Sequence[Point]: ...
    def slope(self, axis: str, quantity: str) -> float: ...


def draw(growth: Growth) -> Figure:
    """A column for each axis: time above, memory below, with the slope of each; grey: slope 1.

    For threads −1 and 0: all threads busy, no memory of their own.
    """
    axes = list(dict.fromkeys(point.axis for point in growth.points))
    with styled():
        figure, panels = plt.subplots(
            2, len(axes), figsize=(PAGE, 3.8), sharex="col", sharey=False, squeeze=False
        )
        for column, axis in enumerate(axes):
            for row, quantity in enumerate(UNITS):
                _panel(panels[row, column], growth, axis, quantity)
            panels[0, column].set_title(f"({ascii_lowercase[column]}) {TITLES[axis]}")
            panels[1, column].set_xlabel(WORDS[axis])
        for row, (unit, *_) in enumerate(UNITS.values()):
            panels[row, 0].set_ylabel(unit)
    return figure


def _panel(ax: Axes, growth: Growth, axis: str, quantity: str) -> None:
    _, factor, color, marker, dash = UNITS[quantity]
    here = [point for point in growth.points if point.axis == axis]
    values = [point.value for point in here]
    amounts = [factor * getattr(point, quantity) for point in here]
    ends = [values[0], values[-1]]
    middle = (values[0] * values[-1]) ** 0.5
    centre = (amounts[0] * amounts[-1]) ** 0.5
    slope = IDEAL_THREADS[quantity] if axis == "threads" else 1
    ax.loglog(ends, [centre * (end / middle) ** slope for end in ends], color=FAINT, linestyle="-", zorder=0)
    ax.loglog(values, amounts, color=color, marker=marker, linestyle=dash)
    if max(amounts) > 1.2 * min(amounts):
        ax.set_ylim(top=max(amounts) ** 1.2 / min(amounts) ** 0.2)  # room for the slope above the lines
    else:
        ax.set_ylim(min(amounts) / 2, max(amounts) * 2)  # as good as the same
    right = axis == "threads"
    ax.text(
        0.98 if right else 0.04,
        0.97,
        f"slope {growth.slope(axis, quantity):z.2f}",
        transform=ax.transAxes,
        va="top",
        ha="right" if right else "left",
    )
    if axis != "weights":
        # Every second one, from the last, where they would touch.
        step = 2 if len(values) > 4 else 1
        names = [str(a) if (len(values) - 1 - i) % step == 0 else "" for i, a in enumerate(values)]
        ax.set_xticks(values, names)
        ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if values[-1] < 1e4 else (1,)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
