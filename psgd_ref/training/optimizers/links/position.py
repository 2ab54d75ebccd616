"""The position scale of a whole model, and the moves in its warped and mirror coordinates."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from psgd_ref.compress.grids.base import Grid, as_grid
from psgd_ref.compress.grids.min_max import MinMaxGrid
from psgd_ref.core import Targets, Warp, mirror_step, position_scale
from psgd_ref.core.arguments import Array, choice, flag, real_number
from psgd_ref.core.scale import STRENGTHS
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.links.refit import EveryStep, Fitter, Refit
from psgd_ref.training.optimizers.links.transforms import State
from psgd_ref.training.optimizers.schedules import Schedule

DISCRETIZATIONS = ("psgd", "warp", "mirror")


@dataclass(frozen=True)
class ScaleByPosition:
    """Multiply the gradient by s(w) = λ(d + ε), every tensor (or channel) with targets of its own.

    Parameters without targets, such as batch norms', have the factor 1.

    Parameters
    ----------
    grid
        The rule that fits targets to a tensor, or rules by parameter name.
    eps, cap
        As in `Warp`; eps may be a schedule, from large (weights move freely) to small (they lock).
    strength
        A number λ, or "volume", "mean-one", "unimodular", "max-normalised".
    refit
        When targets are refitted, and to what.
    discretization
        Coordinates of the Euler step: "psgd" (in w, where the factor is s), "warp" (in f(w), √s) or
        "mirror" (in Φ′(w), 1); claim B3.

    Raises
    ------
    ValueError
        For names that are not known and numbers that are not accepted.
    """

    grid: Grid | Mapping[str, Grid]
    eps: float | Schedule = 0.0
    strength: float | str = "volume"
    cap: bool = False
    refit: Refit = field(default_factory=EveryStep)
    discretization: str = "psgd"

    def __post_init__(self) -> None:
        if not callable(self.eps):
            real_number("eps", self.eps)
        flag("cap", self.cap)
        choice("discretization", self.discretization, DISCRETIZATIONS)
        if isinstance(self.strength, str):
            accepted = STRENGTHS if self.discretization == "psgd" else ("volume",)
            choice(f"strength of discretization {self.discretization!r}", self.strength, accepted)
        else:
            real_number("strength", self.strength, positive=self.discretization != "psgd")

    def init(self, model: Model) -> State:
        return self.refit.init(Fitter(model, self.grid))

    def update(self, u: Array, model: Model, state: State) -> Array:
        """u ⊙ s(w)^p, p = 1, ½, 0 for the three discretizations; refits the targets when they are due."""
        self.refit.update(Fitter(model, self.grid), state)
        if self.discretization == "mirror":
            return u
        scale = self.scale(model, state)
        return u * (scale if self.discretization == "psgd" else np.sqrt(scale))

    def move(self, u: Array, model: Model, state: State, lr: float) -> None:
        """Take the Euler step of length lr along −u in the chosen coordinates. Modifies model.w."""
        if self.discretization == "psgd":
            model.w -= lr * u
            return
        targets, fitter = self.targets(model, state), Fitter(model, self.grid)
        before = model.w.copy()
        model.w -= lr * u
        views = (fitter.views(flat) for flat in (before, model.w, u))
        for w, moved, direction, target in zip(*views, targets, strict=True):
            warp = Warp(target, self.epsilon(state), self.strength, self.cap)
            if self.discretization == "warp":
                moved[...] = warp.inverse(warp(w) - lr * direction)
            else:
                moved[...] = mirror_step(w, direction, lr, warp)

    def epsilon(self, state: State) -> float:
        """ε of the next step."""
        return self.eps(int(state["step"])) if callable(self.eps) else self.eps

    def scale(self, model: Model, state: State) -> Array:
        """s at model.w, shape (n,): 1 where a parameter has no targets."""
        scale, eps, fitter = np.ones_like(model.w), self.epsilon(state), Fitter(model, self.grid)
        views = zip(fitter.views(model.w), fitter.views(scale), self.targets(model, state), strict=True)
        for w, out, target in views:
            out[...] = position_scale(w, target, eps, self.strength, self.cap)
        return scale

    def targets(self, model: Model, state: State) -> list[Targets]:
        """The targets in force, one for every quantized tensor (or channel)."""
        return self.refit.targets(Fitter(model, self.grid), state)


def target_rule(owner: str, grid: Any) -> Grid | Mapping[str, Grid]:
    """What an optimiser's `grid` means: a number of bits is the min-max grid with that many.

    Parameters
    ----------
    owner
        Whose option it is, for the message.
    grid
        Bits 2 … 16, a rule, fixed targets, or rules by parameter name.

    Raises
    ------
    ValueError
        For None and for anything that is not one of these.
    """
    if grid is None:
        raise ValueError(
            f"{owner} needs a grid: MinMaxGrid(4), or 4 for short, or fixed targets such as Zero()"
        )
    if isinstance(grid, int | np.integer) and not isinstance(grid, bool):
        return MinMaxGrid(int(grid))
    if isinstance(grid, Mapping):
        return {name: as_grid(rule) for name, rule in grid.items()}
    return as_grid(grid)
