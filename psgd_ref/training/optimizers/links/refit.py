"""When targets are refitted, and to what: each rule is one small class.

The rules differ in what they remember between steps. A rule is asked first to `update` what it remembers,
then for the `targets` in force.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from psgd_ref.compress.grids.base import EMA_WEIGHT, Grid, pieces
from psgd_ref.compress.selection import assign
from psgd_ref.core import Targets, UniformGrid
from psgd_ref.core.arguments import Array, choice, whole_number
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.links.transforms import State


@dataclass(frozen=True)
class Fitter:
    """The tensors (or channels) of a model that have targets of their own, in the order of w."""

    model: Model
    grid: Grid | Mapping[str, Grid]

    def views(self, flat: Array) -> list[Array]:
        """Each tensor's (or channel's) view of a flat array (n,)."""
        return [
            piece
            for segment, grid in assign(self.model, self.grid)
            for piece in pieces(segment.view(flat), grid.per_channel)
        ]

    def fit(self, w: Array) -> list[Targets]:
        """Targets fitted to the values w (n,), one set for each view."""
        return [
            grid.fit(piece)
            for segment, grid in assign(self.model, self.grid)
            for piece in pieces(segment.view(w), grid.per_channel)
        ]

    def fit_uniform(self, w: Array) -> list[UniformGrid]:
        """The same; ValueError for targets that have more than one Δ."""
        found = []
        for targets in self.fit(w):
            if not isinstance(targets, UniformGrid):
                name = type(targets).__name__
                raise ValueError(f"refresh 'ema' or 'learned' needs a uniform grid; got {name}")
            found.append(targets)
        return found

    def steps(self, w: Array) -> Array:
        """Δ of every view, fitted to w."""
        return np.array([grid.step for grid in self.fit_uniform(w)])


class Refit:
    """A rule for the targets in force at each step. It keeps nothing itself: its memory is in `state`."""

    def init(self, fitter: Fitter) -> State:
        """The arrays that the rule remembers, before the first step."""
        return {}

    def update(self, fitter: Fitter, state: State) -> None:
        """Update the memory from the current weights, once a step. Modifies the arrays of `state`."""

    def targets(self, fitter: Fitter, state: State) -> list[Targets]:
        """The targets in force, one set for each of the fitter's views."""
        raise NotImplementedError


@dataclass(frozen=True)
class EveryStep(Refit):
    """Targets fitted to the weights as they are: nothing to remember."""

    def targets(self, fitter: Fitter, state: State) -> list[Targets]:
        return fitter.fit(fitter.model.w)


@dataclass(frozen=True)
class EveryNSteps(Refit):
    """Targets fitted to the weights as they were at the last step whose number is a multiple of n ≥ 1."""

    n: int

    def __post_init__(self) -> None:
        whole_number("n", self.n, 1)

    def init(self, fitter: Fitter) -> State:
        return {"grid_weights": fitter.model.w.copy(), "grid_age": np.zeros((), np.int64)}

    def update(self, fitter: Fitter, state: State) -> None:
        if state["grid_age"] % self.n == 0:
            state["grid_weights"][...] = fitter.model.w
        state["grid_age"] += 1

    def targets(self, fitter: Fitter, state: State) -> list[Targets]:
        return fitter.fit(state["grid_weights"])


@dataclass(frozen=True)
class _RunningStep(Refit):
    """What rules with a Δ of their own share: levels as the grid's rule has them, Δ from the memory."""

    def init(self, fitter: Fitter) -> State:
        return {"grid_step": fitter.steps(fitter.model.w)}

    def targets(self, fitter: Fitter, state: State) -> list[Targets]:
        fresh = fitter.fit_uniform(fitter.model.w)
        pairs = zip(state["grid_step"], fresh, strict=True)
        return [UniformGrid(float(step), grid.levels) for step, grid in pairs]


@dataclass(frozen=True)
class MovingAverage(_RunningStep):
    """Δ ← Δ + a (Δ fitted now − Δ), a = `EMA_WEIGHT`; the official code averages the range likewise."""

    def update(self, fitter: Fitter, state: State) -> None:
        state["grid_step"] += EMA_WEIGHT * (fitter.steps(fitter.model.w) - state["grid_step"])


@dataclass(frozen=True)
class LeastSquares(_RunningStep):
    """Δ ← Σ wk/Σ k², the least squared error for the integers k that the weights have now."""

    def update(self, fitter: Fitter, state: State) -> None:
        views, targets = fitter.views(fitter.model.w), self.targets(fitter, state)
        for i, (w, grid) in enumerate(zip(views, targets, strict=True)):
            codes = grid.position(w).astype(np.float64)
            if codes.any():
                state["grid_step"][i] = float((w * codes).sum() / (codes * codes).sum())


def refit_rule(refresh: int | str | Refit) -> Refit:
    """The rule for `refresh`: a number of steps, "ema", "learned", or a rule itself; else ValueError."""
    if isinstance(refresh, Refit):
        return refresh
    if isinstance(refresh, str):
        return {"ema": MovingAverage(), "learned": LeastSquares()}[
            choice("refresh", refresh, ("ema", "learned"))
        ]
    steps = whole_number("refresh", refresh, 1)
    return EveryStep() if steps == 1 else EveryNSteps(steps)
