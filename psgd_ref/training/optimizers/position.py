"""The position scale of a whole model, and the moves in its warped and mirror coordinates."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from psgd_ref.compress.grids.base import Grid, pieces
from psgd_ref.compress.selection import assign
from psgd_ref.core import Targets, UniformGrid, Warp, mirror_step, position_scale
from psgd_ref.core.arguments import Array, choice, real_number, whole_number
from psgd_ref.core.scale import STRENGTHS
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.schedules import Schedule
from psgd_ref.training.optimizers.transforms import State

DISCRETIZATIONS = ("psgd", "warp", "mirror")
EMA_WEIGHT = 0.1


@dataclass(frozen=True)
class ScaleByPosition:
    """Multiply the gradient by s(w) = λ(d + ε), every tensor (or channel) with targets of its own.

    grid     : the rule that fits targets to a tensor, or rules by parameter name
    eps, cap : as in `Warp`; eps may be a schedule, from large (weights move freely) to small (they lock)
    strength : a number λ, or "volume", "mean-one", "unimodular", "max-normalised"
    refresh  : fit the targets anew every so many steps, or "ema": every step, Δ averaged with weight
               0.1 for the new one (uniform grids; the official code averages the range likewise), or
               "learned": the first Δ is the rule's, and each step takes it to Σ wk/Σ k², the least
               squared error for the integers k that the weights have (uniform grids)
    step     : coordinates of the Euler step: "psgd" (in w, where the factor is s), "warp" (in f(w),
               √s) or "mirror" (in Φ′(w), 1); claim B3
    Parameters without targets, such as batch norms', have the factor 1. Raises ValueError for unknown words.
    """

    grid: Grid | Mapping[str, Grid]
    eps: float | Schedule = 0.0
    strength: float | str = "volume"
    cap: bool = False
    refresh: int | str = 1
    discretization: str = "psgd"

    def __post_init__(self) -> None:
        if not callable(self.eps):
            real_number("eps", self.eps)
        choice("discretization", self.discretization, DISCRETIZATIONS)
        if isinstance(self.strength, str):
            accepted = STRENGTHS if self.discretization == "psgd" else ("volume",)
            choice(f"strength of discretization {self.discretization!r}", self.strength, accepted)
        else:
            real_number("strength", self.strength, positive=self.discretization != "psgd")
        if isinstance(self.refresh, str):
            choice("refresh", self.refresh, ("ema", "learned"))
        else:
            whole_number("refresh", self.refresh, 1)

    def init(self, model: Model) -> State:
        if isinstance(self.refresh, str):
            return {"grid_step": self._steps(model)}
        if self.refresh == 1:
            return {}
        return {"grid_weights": model.w.copy(), "grid_age": np.zeros((), np.int64)}

    def update(self, u: Array, model: Model, state: State) -> Array:
        """u ⊙ s(w)^p, p = 1, ½, 0 for the three steps; fits the targets anew when it is time."""
        if self.refresh == "ema":
            state["grid_step"] += EMA_WEIGHT * (self._steps(model) - state["grid_step"])
        elif self.refresh == "learned":
            for i, (part, aims) in enumerate(
                zip(self._parts(model, model.w), self.targets(model, state), strict=True)
            ):
                codes = aims.position(part).astype(np.float64)
                if codes.any():
                    state["grid_step"][i] = float((part * codes).sum() / (codes * codes).sum())
        elif isinstance(self.refresh, int) and self.refresh > 1:
            if state["grid_age"] % self.refresh == 0:
                state["grid_weights"][...] = model.w
            state["grid_age"] += 1
        if self.discretization == "mirror":
            return u
        scale = self.scale(model, state)
        return u * (scale if self.discretization == "psgd" else np.sqrt(scale))

    def move(self, u: Array, model: Model, state: State, lr: float) -> None:
        """Take the Euler step of length lr along −u in the chosen coordinates. Modifies model.w."""
        if self.discretization == "psgd":
            model.w -= lr * u
            return
        targets = self.targets(model, state)
        before = model.w.copy()
        model.w -= lr * u
        parts = (self._parts(model, flat) for flat in (before, model.w, u))
        for part, moved, direction, aims in zip(*parts, targets, strict=True):
            warp = Warp(aims, self.epsilon(state), self.strength, self.cap)
            if self.discretization == "warp":
                moved[...] = warp.inverse(warp(part) - lr * direction)
            else:
                moved[...] = mirror_step(part, direction, lr, warp)

    def epsilon(self, state: State) -> float:
        """ε of the next step."""
        return self.eps(int(state["step"])) if callable(self.eps) else self.eps

    def scale(self, model: Model, state: State) -> Array:
        """s at model.w, shape (n,): 1 where a parameter has no targets."""
        scale, eps = np.ones_like(model.w), self.epsilon(state)
        parts = zip(self._parts(model, model.w), self._parts(model, scale), strict=True)
        for (part, out), targets in zip(parts, self.targets(model, state), strict=True):
            out[...] = position_scale(part, targets, eps, self.strength, self.cap)
        return scale

    def targets(self, model: Model, state: State) -> list[Targets]:
        """The targets in force, one for every gridded tensor (or channel)."""
        if isinstance(self.refresh, str):
            fresh = self._fit(model, model.w)
            return [
                UniformGrid(float(step), _uniform(targets).levels)
                for step, targets in zip(state["grid_step"], fresh, strict=True)
            ]
        return self._fit(model, model.w if self.refresh == 1 else state["grid_weights"])

    def _parts(self, model: Model, flat: Array) -> list[Array]:
        """The views of a flat array that have targets of their own."""
        return [
            part
            for segment, grid in assign(model, self.grid)
            for part in pieces(segment.view(flat), grid.per_channel)
        ]

    def _fit(self, model: Model, w: Array) -> list[Targets]:
        return [
            grid.fit(part)
            for segment, grid in assign(model, self.grid)
            for part in pieces(segment.view(w), grid.per_channel)
        ]

    def _steps(self, model: Model) -> Array:
        return np.array([_uniform(targets).step for targets in self._fit(model, model.w)])


def _uniform(targets: Targets) -> UniformGrid:
    if not isinstance(targets, UniformGrid):
        raise ValueError(f"refresh 'ema' or 'learned' needs a uniform grid; got {type(targets).__name__}")
    return targets
