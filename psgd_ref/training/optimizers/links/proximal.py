"""What an optimiser does after its move: proximal maps, which set weights onto targets exactly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from psgd_ref.compress.grids.base import Grid
from psgd_ref.compress.selection import weight_segments
from psgd_ref.core import Targets
from psgd_ref.core.arguments import Array, fraction, real_number
from psgd_ref.core.clustering import soft_threshold
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.links.refit import EveryStep, Fitter, Refit
from psgd_ref.training.optimizers.links.transforms import State, schedule_value
from psgd_ref.training.optimizers.schedules import Schedule


class Proximal(Protocol):
    """A map of the weights after each move."""

    def init(self, model: Model) -> State:
        """The arrays that this map keeps, before the first step."""
        ...

    def before(self, model: Model, state: State) -> None:
        """What is done to the weights before the move, when the gradient is known. Modifies model.w."""
        ...

    def after(self, model: Model, state: State, lr: float) -> None:
        """What is done to them after it. Modifies model.w and its own arrays in `state`."""
        ...


@dataclass(frozen=True)
class ToZero:
    """w ← sign(w) max(|w| − η·penalty, 0), on weights, not on biases and batch norms."""

    penalty: float

    def init(self, model: Model) -> State:
        return {}

    def before(self, model: Model, state: State) -> None:
        pass

    def after(self, model: Model, state: State, lr: float) -> None:
        for segment in weight_segments(model):
            w = model.w[segment.span]
            model.w[segment.span] = soft_threshold(w, lr * self.penalty)


@dataclass(frozen=True)
class ToTargets:
    """w ← w̄ + sign(w − w̄) max(|w − w̄| − η·penalty, 0): the proximal map of η·penalty‖w − w̄‖₁.

    Exact while η·penalty is less than the distance from a wall to either target, since a weight then stays in
    its cell. penalty ≥ 0 or a schedule; grid and refit as in `PullToTargets`.
    """

    grid: Grid | Mapping[str, Grid]
    penalty: float | Schedule
    refit: Refit = field(default_factory=EveryStep)

    def __post_init__(self) -> None:
        if not callable(self.penalty):
            real_number("penalty", self.penalty)

    def init(self, model: Model) -> State:
        return self.refit.init(Fitter(model, self.grid))

    def before(self, model: Model, state: State) -> None:
        pass

    def after(self, model: Model, state: State, lr: float) -> None:
        fitter = Fitter(model, self.grid)
        self.refit.update(fitter, state)
        penalty = schedule_value("penalty", self.penalty, state)
        for w, targets in zip(fitter.views(model.w), self.refit.targets(fitter, state), strict=True):
            nearest = targets.nearest(w)
            w[...] = nearest + soft_threshold(w - nearest, lr * penalty)


@dataclass(frozen=True)
class PiecewiseAffine:
    """Latent weights u make the moves, and the model has w = the map of u that is flat on every target.

    Between neighbouring targets a < b, m midway: w = clip(m + (u − m)/ρ, a, b), with the inverse slope ρ in
    (0, 1], a schedule: 1 leaves u as it is, towards 0 all weights lie on targets.

    Source: Jin, Ma, Liu, Gromov, Defazio, Xiao 2025 (PARQ), the aggregate proximal map with the practical
    slope.
    """

    grid: Grid | Mapping[str, Grid]
    inverse_slope: Schedule
    refit: Refit = field(default_factory=EveryStep)

    def init(self, model: Model) -> State:
        return {"latent": model.w.copy(), **self.refit.init(Fitter(model, self.grid))}

    def before(self, model: Model, state: State) -> None:
        model.w[...] = state["latent"]

    def after(self, model: Model, state: State, lr: float) -> None:
        state["latent"][...] = model.w
        fitter = Fitter(model, self.grid)
        self.refit.update(fitter, state)
        slope = self.inverse_slope(int(state["step"]))
        for w, targets in zip(fitter.views(model.w), self.refit.targets(fitter, state), strict=True):
            w[...] = piecewise_affine(w, targets, slope)


def piecewise_affine(u: Array, targets: Targets, inverse_slope: float) -> Array:
    """The map of `PiecewiseAffine`: clip(m + (u − m)/ρ, a, b) between targets a < b; the outermost beyond.

    inverse_slope : ρ in [0, 1]; 0 gives the nearest target
    Raises ValueError for another ρ. Shape and dtype of u.

    >>> from psgd_ref.core import UniformGrid
    >>> piecewise_affine(np.array([0.1, 0.4, 0.7, 3.0]), UniformGrid(1.0, 1), 0.5)
    array([0. , 0.3, 0.9, 1. ])
    """
    fraction("inverse_slope", inverse_slope)
    position = targets.position(u)
    nearest = targets.value(position)
    offset = np.asarray(u - nearest)
    gap = targets.gap(position, offset)
    # Half the way to the next target; beyond the last one there is none, and weights stay on it.
    half = np.where(np.isfinite(gap), gap, 0) / 2
    flat = (1 - inverse_slope) * half
    moved = np.maximum(np.abs(offset) - flat, 0)
    steep = moved / inverse_slope if inverse_slope > 0 else np.zeros_like(moved)
    return np.asarray(nearest + np.sign(offset) * np.minimum(steep, half), u.dtype)
