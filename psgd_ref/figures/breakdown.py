"""The time of a training step by layer and pass, beside what arithmetic and memory alone would take."""

from collections.abc import Sequence
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, FAINT, INK, PAGE, SKY, VERMILION, styled

DIRECTIONS = ("forward", "backward")
KINDS = {
    "convolution": (BLUE, "convolution"),
    "batch norm": (SKY, "batch norm"),
    "recomputation": (FAINT, "outputs computed again"),
}
LIMITS = {
    "operations": ("operations_rate", INK, "arithmetic alone (the plain sum)"),
    "bytes": ("bytes_rate", VERMILION, "memory alone"),
}


class Part(Protocol):
    """A layer in one pass, as `psgd_ref.experiments.benchmark.breakdown.Part`."""

    @property
    def layer(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def operations(self) -> float: ...
    @property
    def bytes(self) -> float: ...


class Breakdown(Protocol):
    """All parts, and what the computer gives."""

    @property
    def parts(self) -> Sequence[Part]: ...
    @property
    def operations_rate(self) -> float: ...
    @property
    def bytes_rate(self) -> float: ...


def draw(found: Breakdown) -> Figure:
    """A bar for each convolution with its batch norm on top, and two limits for the two together."""
    with styled():
        figure, panels = plt.subplots(2, 1, figsize=(PAGE, 4.4), sharex=True, sharey=True)
        for ax, direction in zip(panels, DIRECTIONS, strict=True):
            _panel(ax, found, [part for part in found.parts if part.direction == direction])
            ax.set_title(direction)
            ax.set_ylabel("ms")
        handles, labels = panels[1].get_legend_handles_labels()
        panels[0].legend(handles, labels, loc="upper right", ncols=2)
    return figure


def _panel(ax: Axes, found: Breakdown, parts: Sequence[Part]) -> None:
    """Layers in the order of the network: a norm belongs to the convolution before it."""
    names = sorted((part.layer for part in parts if part.kind == "convolution"), key=_place)
    places, top = np.arange(len(names)), np.zeros(len(names))
    for kind, (color, label) in KINDS.items():
        heights = np.array([1e3 * _sum(parts, name, kind, "seconds") for name in names])
        if heights.any():
            ax.bar(places, heights, bottom=top, color=color, label=label)
        top += heights
    for quantity, (rate, color, label) in LIMITS.items():
        times = [
            1e3 * sum(_sum(parts, name, kind, quantity) for kind in KINDS) / getattr(found, rate)
            for name in names
        ]
        ax.plot(places, times, "_", color=color, markersize=8, label=label)
    ax.set_xticks(places, [_short(name) for name in names], rotation=90)
    ax.set_xlim(-0.7, len(places) - 0.3)


def _sum(parts: Sequence[Part], convolution: str, kind: str, quantity: str) -> float:
    """A quantity of one kind, of a convolution and its norm together."""
    layers = (convolution, _norm_of(convolution))
    return sum(float(getattr(p, quantity)) for p in parts if p.layer in layers and p.kind == kind)


def _norm_of(convolution: str) -> str:
    if convolution.endswith("downsample.0"):
        return convolution[:-1] + "1"
    return convolution.replace("conv", "bn")


def _place(layer: str) -> tuple[str, ...]:
    # The stem before the stages.
    return ("",) if layer == "conv1" else tuple(layer.split("."))


def _short(layer: str) -> str:
    if layer == "conv1":
        return "stem"
    stage, block, what, *_ = layer.split(".")
    return f"{stage.removeprefix('layer')}.{block} {'shortcut' if what == 'downsample' else what[-1]}"
