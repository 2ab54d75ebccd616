"""The time of a training step by layer and pass, beside what arithmetic and memory alone would take."""

from collections.abc import Sequence
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, INK, ORANGE, PAGE, SKY, styled

DIRECTIONS = ("forward", "backward")


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
        figure, panels = plt.subplots(2, 1, figsize=(PAGE, 4.2), sharex=True, sharey=True)
        for ax, direction in zip(panels, DIRECTIONS, strict=True):
            _panel(ax, found, [part for part in found.parts if part.direction == direction])
            ax.set_title(direction)
            ax.set_ylabel("ms")
        panels[0].legend(loc="upper right", ncols=2)
    return figure


def _panel(ax: Axes, found: Breakdown, parts: Sequence[Part]) -> None:
    """Layers in the order of the network: a norm belongs to the convolution before it."""
    by_name = {part.layer: part for part in parts}
    convolutions = sorted(
        (part for part in parts if part.kind == "convolution"), key=lambda part: _place(part.layer)
    )
    norms = [by_name[_norm_of(part.layer)] for part in convolutions]
    places = np.arange(len(convolutions))
    below = [1e3 * part.seconds for part in convolutions]
    ax.bar(places, below, color=BLUE, label="convolution")
    ax.bar(places, [1e3 * part.seconds for part in norms], bottom=below, color=SKY, label="batch norm")
    arithmetic = [1e3 * part.operations / found.operations_rate for part in convolutions]
    memory = [
        1e3 * (one.bytes + other.bytes) / found.bytes_rate
        for one, other in zip(convolutions, norms, strict=True)
    ]
    ax.plot(places, arithmetic, "_", color=INK, markersize=8, label="arithmetic alone (the plain sum)")
    ax.plot(places, memory, "_", color=ORANGE, markersize=8, label="memory alone")
    ax.set_xticks(places, [_short(part.layer) for part in convolutions], rotation=90)
    ax.set_xlim(-0.7, len(places) - 0.3)


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
