"""The default chain, position scale → decay → momentum → rate, in one call of a kernel.

The chain of transforms defines the step and is the oracle; the kernel used here agrees to float32 rounding.
It reads g and the momentum once, and w twice: Δ is known when all weights have been seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from psgd_ref import kernels
from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.compress.grids.base import ClipGrid, FixedTargets, Grid, UniformRule
from psgd_ref.compress.selection import assign
from psgd_ref.core import Zero
from psgd_ref.core.arguments import Array
from psgd_ref.kernels import Part, Parts
from psgd_ref.nn import Model, Segment
from psgd_ref.training.optimizers.links.position import ScaleByPosition
from psgd_ref.training.optimizers.links.pull import PullToTargets
from psgd_ref.training.optimizers.links.refit import EveryStep, LeastSquares
from psgd_ref.training.optimizers.links.transforms import (
    AddDecay,
    Momentum,
    State,
    Transform,
    schedule_value,
)


@dataclass
class Fused:
    """The options of a chain that the kernel knows."""

    position: ScaleByPosition | None
    decay: AddDecay | PullToTargets | None
    momentum: float
    # Where the momentum and the learned Δ are in the optimiser's state; empty for a chain without one.
    velocity: str = ""
    memories: tuple[str, ...] = ()
    _segments: tuple[Segment, ...] = ()
    _parts: Parts = field(default_factory=lambda: Parts.of([]))
    _unused: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    # The Δ of every slot, and the slots of segments with targets.
    _steps: Array = field(default_factory=lambda: np.ones(0, np.float32))
    _targeted: list[int] = field(default_factory=list)

    def update(self, model: Model, state: State, lr: float) -> None:
        """One step; ValueError for weights that are not finite. Modifies model.w and the momentum."""
        if self._segments is not model.segments:
            self._prepare(model)
        # The scale and the pull each remember a Δ, which is the same.
        learned = [state[name] for name in self.memories if name in state]
        if learned:
            self._steps[self._targeted] = learned[0]
        kappa = 0.0 if self.decay is None else schedule_value("weight_decay", self.decay.weight_decay, state)
        to_grid = isinstance(self.decay, PullToTargets)
        done = kernels.psgd_update(
            model.w, model.g, state.get(self.velocity, self._unused), self._parts, self._steps, lr,
            self.momentum, 0.0 if to_grid else kappa, kappa if to_grid else 0.0,
        )  # fmt: skip
        if not done and self.position is not None:
            self.position.scale(model, state)  # the chain's own error
        for memory in learned:
            memory[...] = self._steps[self._targeted]

    def _prepare(self, model: Model) -> None:
        self._segments, self._parts = model.segments, Parts.of(self._describe(model))
        self._unused, self._steps = np.zeros_like(model.w), np.ones(self._parts.slots, model.w.dtype)
        first = self._parts.whole[:, 2].tolist()
        self._targeted = [
            slot + channel
            for part, slot in zip(self._parts.parts, first, strict=True)
            for channel in range(part.channels)
            if part.levels is not None
        ]

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
            levels=grid.levels if isinstance(grid, UniformRule) else 0,
            refit="learned" if isinstance(self.position.refit, LeastSquares) else "min-max",
            strength=self.position.strength,
            eps=0.0 if callable(self.position.eps) else self.position.eps,  # schedules are not fused
            cap=self.position.cap,
        )


def fuse(chain: Sequence[Transform]) -> Fused | None:
    """The chain as one pass, or None when it is not the default one or has options unknown to the kernel."""
    links: dict[type, Any] = {type(link): link for link in chain}
    decay = links.get(AddDecay, links.get(PullToTargets))
    default = [kind for kind in (ScaleByPosition, type(decay), Momentum) if kind in links]
    if [type(link) for link in chain] != default:
        return None
    position = links.get(ScaleByPosition)
    if position is not None and not _known(position):
        return None
    if isinstance(decay, PullToTargets) and not _same_targets(decay, position):
        return None
    return Fused(
        position,
        decay,
        momentum=links[Momentum].momentum if Momentum in links else 0.0,
        velocity=f"{len(chain) - 1}.momentum" if Momentum in links else "",
        memories=("0.grid_step", "1.grid_step"),
    )


def _same_targets(pull: PullToTargets, position: ScaleByPosition | None) -> bool:
    return position is not None and pull.grid is position.grid and pull.refit == position.refit


def _known(position: ScaleByPosition) -> bool:
    if position.discretization != "psgd" or callable(position.eps):
        return False
    if isinstance(position.strength, str) and position.strength != "volume":
        return False
    if isinstance(position.refit, LeastSquares):
        # Δ starts at the rule's; after that only the rule's levels matter.
        return isinstance(position.grid, MinMaxGrid | MSEGrid | ClipGrid)
    if not isinstance(position.refit, EveryStep):
        return False
    if isinstance(position.grid, FixedTargets):
        bare = position.strength != "volume" and not position.cap
        return bare and isinstance(position.grid.targets, Zero)
    return isinstance(position.grid, MinMaxGrid)
