"""The default chain, position scale → decay → momentum → rate, in one pass over memory.

The chain of transforms says what happens and is the oracle; the kernel behind this does the same to
float32 rounding, reading w, g and the momentum once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from psgd_ref import kernels
from psgd_ref.compress import MinMaxGrid
from psgd_ref.compress.grids.base import FixedTargets, Grid
from psgd_ref.compress.selection import assign
from psgd_ref.core import Zero
from psgd_ref.core.arguments import Array
from psgd_ref.kernels import Part, Parts
from psgd_ref.nn import Model, Segment
from psgd_ref.training.optimizers.position import ScaleByPosition
from psgd_ref.training.optimizers.refit import EveryStep
from psgd_ref.training.optimizers.transforms import AddDecay, Momentum, State, Transform


@dataclass
class Fused:
    """The options of a chain that the kernel knows."""

    position: ScaleByPosition | None
    weight_decay: float
    momentum: float
    # Where the momentum is in the optimiser's state; empty for a chain without one.
    velocity: str = ""
    _segments: tuple[Segment, ...] = ()
    _parts: Parts = field(default_factory=lambda: Parts.of([]))
    _unused: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    _ones: Array = field(default_factory=lambda: np.ones(0, np.float32))

    def update(self, model: Model, state: State, lr: float) -> None:
        """One step; ValueError for weights that are not finite. Modifies model.w and the momentum."""
        if self._segments is not model.segments:
            self._segments, self._parts = model.segments, Parts.of(self._describe(model))
            self._unused, self._ones = np.zeros_like(model.w), np.ones(self._parts.slots, model.w.dtype)
        velocity, steps = state.get(self.velocity, self._unused), self._ones
        if self.position is not None:
            steps = kernels.min_max_steps(model.w, self._parts)
            if not np.isfinite(steps).all():
                self.position.scale(model, state)  # the chain's own error
        kernels.psgd_update(
            model.w, model.g, velocity, self._parts, steps, lr, self.momentum, self.weight_decay
        )

    def _describe(self, model: Model) -> list[Part]:
        rules = {} if self.position is None else {s.name: g for s, g in assign(model, self.position.grid)}
        return [self._part(segment, rules.get(segment.name)) for segment in model.segments]

    def _part(self, segment: Segment, grid: Grid | None) -> Part:
        if grid is None or self.position is None:
            return Part(segment.start, segment.stop)
        return Part(
            segment.start,
            segment.stop,
            channels=segment.shape[-1] if grid.per_channel and len(segment.shape) > 1 else 1,
            levels=grid.levels if isinstance(grid, MinMaxGrid) else 0,
            strength=self.position.strength,
            eps=0.0 if callable(self.position.eps) else self.position.eps,  # schedules are not fused
            cap=self.position.cap,
        )


def fuse(chain: Sequence[Transform]) -> Fused | None:
    """The chain as one pass, or None when it is not the default one or has options unknown to the kernel."""
    links: dict[type, Any] = {type(link): link for link in chain}
    default = [kind for kind in (ScaleByPosition, AddDecay, Momentum) if kind in links]
    if [type(link) for link in chain] != default:
        return None
    if AddDecay in links and callable(links[AddDecay].weight_decay):
        return None
    position = links.get(ScaleByPosition)
    if position is not None and not _known(position):
        return None
    return Fused(
        position,
        weight_decay=links[AddDecay].weight_decay if AddDecay in links else 0.0,
        momentum=links[Momentum].momentum if Momentum in links else 0.0,
        velocity=f"{len(chain) - 1}.momentum" if Momentum in links else "",
    )


def _known(position: ScaleByPosition) -> bool:
    if position.discretization != "psgd" or callable(position.eps):
        return False
    if not isinstance(position.refit, EveryStep):
        return False
    if isinstance(position.strength, str) and position.strength != "volume":
        return False
    if isinstance(position.grid, FixedTargets):
        bare = position.strength != "volume" and not position.cap
        return bare and isinstance(position.grid.targets, Zero)
    return isinstance(position.grid, MinMaxGrid)
