"""The pull of every weight to its nearest target: weight decay to the grid in place of zero."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from psgd_ref.compress.grids.base import Grid
from psgd_ref.core.arguments import Array, real_number
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.links.refit import EveryStep, Fitter, Refit
from psgd_ref.training.optimizers.links.transforms import State, schedule_value
from psgd_ref.training.optimizers.schedules import Schedule


@dataclass(frozen=True)
class PullToTargets:
    """u + κ (w − w̄), w̄ the nearest target; 0 is added where a parameter has no targets.

    Behind the position scale it makes PSGD's step that on L + (κ/λ)‖w − w̄‖₁ (claim E5); without the scale it
    is the slope of the quadratic penalty (κ/2)‖w − w̄‖².

    Parameters
    ----------
    grid
        The rule that fits targets to a tensor, or rules by parameter name.
    weight_decay
        κ, a number ≥ 0 or a schedule, such as `ramp`.
    refit
        When targets are refitted, and to what.
    """

    grid: Grid | Mapping[str, Grid]
    weight_decay: float | Schedule = 1e-4
    refit: Refit = field(default_factory=EveryStep)

    def __post_init__(self) -> None:
        if not callable(self.weight_decay):
            real_number("weight_decay", self.weight_decay)

    def init(self, model: Model) -> State:
        return self.refit.init(Fitter(model, self.grid))

    def update(self, u: Array, model: Model, state: State) -> Array:
        fitter = Fitter(model, self.grid)
        self.refit.update(fitter, state)
        strength = schedule_value("weight_decay", self.weight_decay, state)
        if strength == 0:
            return u
        pulled = u.copy()
        views = zip(
            fitter.views(model.w), fitter.views(pulled), self.refit.targets(fitter, state), strict=True
        )
        for w, out, targets in views:
            out[...] += strength * (w - targets.nearest(w))
        return pulled
