"""Time and memory of a training step against what makes it larger, on logarithmic axes."""

from collections.abc import Sequence
from typing import Protocol

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from psgd_ref.figures.style import BLUE, FAINT, INK, PAGE, styled

TITLES = {"batch": "batch", "width": "width", "depth": "depth", "weights": "PSGD alone"}
WORDS = {"batch": "images in a batch", "width": "channels", "depth": "layers", "weights": "weights"}
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
    """A column for each axis: time above, memory below, with the slope of each; grey: slope 1."""
    axes = list(dict.fromkeys(point.axis for point in growth.points))
    with styled():
        figure, panels = plt.subplots(
            2, len(axes), figsize=(PAGE, 3.5), sharex="col", sharey=False, squeeze=False
        )
        for column, axis in enumerate(axes):
            for row, quantity in enumerate(UNITS):
                _panel(panels[row, column], growth, axis, quantity)
            panels[0, column].set_title(f"({'abcd'[column]}) {TITLES[axis]}")
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
    ax.loglog(ends, [centre * end / middle for end in ends], color=FAINT, linestyle="-", zorder=0)
    ax.loglog(values, amounts, color=color, marker=marker, linestyle=dash)
    ax.text(0.05, 0.95, f"slope {growth.slope(axis, quantity):.2f}", transform=ax.transAxes, va="top")
    if axis != "weights":
        # Next to the last, where they would touch.
        names = ["" if a * 1.5 > b else str(a) for a, b in zip(values, [*values[1:], 1 << 30], strict=True)]
        ax.set_xticks(values, names)
        ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if values[-1] < 1e4 else (1,)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
