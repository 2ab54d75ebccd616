"""Position-based scaled gradient descent, the method of the paper."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psgd_ref.compress.grids.base import Grid
from psgd_ref.core import Targets
from psgd_ref.core.arguments import Array, choice, real_number
from psgd_ref.training.optimizers.arrays import step_arrays
from psgd_ref.training.optimizers.links.position import ScaleByPosition, target_rule
from psgd_ref.training.optimizers.links.pull import PullToTargets
from psgd_ref.training.optimizers.links.refit import Refit, refit_rule
from psgd_ref.training.optimizers.links.transforms import Transform, decay_links, momentum_links
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.schedules import Schedule

DECAY_TARGETS = ("zero", "grid")


@dataclass(frozen=True, eq=False)
class PSGD(Optimizer):
    """Position-based scaled gradient descent: u = s(w) ⊙ g + κ(w − t), v ← μv + u, w ← w − ηv.

    s(w) = λ(d + ε) with the distance d of each weight from its nearest target: weights that lie on a target
    move slowly, so that training ends with weights that rounding changes little.

    Parameters
    ----------
    lr, momentum
        As in `SGD`.
    weight_decay, decay_target
        κ ≥ 0, or a schedule such as `ramp`, and what it pulls to: "zero", t = 0, or "grid", t = w̄, the
        nearest target. The latter makes the step that of PSGD on L + (κ/λ)‖w − w̄‖₁ (claim E5), and weights
        gather on targets without noise (claim E6).
    grid
        Where the targets are: a number of bits, which means `MinMaxGrid(bits)`; a rule such as
        `MSEGrid(4)`; fixed targets, `Zero()` for pruning; or rules by parameter name, such as the `grids`
        that `lapq` found.
    eps, strength, cap, discretization
        As in `ScaleByPosition`.
    decay_order
        "unscaled" adds κw after the scale, as the official code does; "scaled" before it, as part of the
        loss. With discretization "warp" or "mirror" unscaled decay acts on w itself.
    momentum_order
        "scaled" averages the scaled gradient, as the official code does; "gradient" averages the gradient
        and scales the average.
    gradient_at
        Where the gradient is taken: at w + a (w̄ − w), a in [0, 1] or a schedule. 0 is at the weights; 1 is at
        the rounded ones (the straight-through estimator).
    refresh
        When the targets are refitted: a number of steps; "ema", at every step with Δ averaged
        (`MovingAverage`); "learned", Δ of least squared error (`LeastSquares`); or a `Refit` rule.

    Raises
    ------
    ValueError
        For values that are not accepted.

    Source
    ------
    The paper, Eq. (7); defaults of the official code except the strength (claim C3).

    Examples
    --------
    >>> import psgd_ref as pr
    >>> pr.PSGD(lr=0.3, grid=4).position.grid
    MinMaxGrid(bits=4, per_channel=False)
    """

    lr: float | Schedule = 0.1
    momentum: float = 0.9
    weight_decay: float | Schedule = 1e-4
    grid: int | Grid | Targets | Mapping[str, Grid] | None = None
    eps: float | Schedule = 0.0
    strength: float | str = "volume"
    cap: bool = False
    decay_order: str = "unscaled"
    momentum_order: str = "scaled"
    refresh: int | str | Refit = 1
    discretization: str = "psgd"
    decay_target: str = "zero"
    gradient_at: float | Schedule = 0.0

    def __post_init__(self) -> None:
        rule, refit = target_rule("PSGD", self.grid), refit_rule(self.refresh)
        position = ScaleByPosition(
            rule,
            self.eps,
            self.strength,
            self.cap,
            refit,
            self.discretization,
        )
        to_grid = choice("decay_target", self.decay_target, DECAY_TARGETS) == "grid"
        decay_scaled = choice("decay_order", self.decay_order, ("unscaled", "scaled")) == "scaled"
        pull = PullToTargets(rule, self.weight_decay, refit) if to_grid else None
        decay: list[Transform] = [pull] if pull is not None else decay_links(self.weight_decay)
        average = momentum_links(self.momentum)
        orders = ("scaled", "gradient")
        momentum_scaled = choice("momentum_order", self.momentum_order, orders) == "scaled"
        core: list[Transform] = [position, *average] if momentum_scaled else [*average, position]
        if decay_scaled:
            super().__init__([*decay, *core], self.lr, gradient_at=self.gradient_at)
        elif self.discretization != "psgd" and pull is not None:
            super().__init__(core, self.lr, decoupled_pull=pull, gradient_at=self.gradient_at)
        elif self.discretization != "psgd":
            super().__init__(
                core, self.lr, real_number("weight_decay", self.weight_decay), gradient_at=self.gradient_at
            )
        else:
            unscaled = [position, *decay, *average] if momentum_scaled else [*core, *decay]
            super().__init__(unscaled, self.lr, gradient_at=self.gradient_at)

    @classmethod
    def psgd_step(
        cls,
        w: Array,
        g: Array,
        lr: float,
        targets: Targets,
        eps: float = 0.0,
        strength: float | str = 1.0,
        cap: bool = False,
        weight_decay: float = 0.0,
        decay_target: str = "zero",
    ) -> Array:
        """New weights after one step without momentum from arrays w and g of one shape, float64.

        As the laws call it: `psgd-ref check psgd_ref.training:PSGD` holds the optimiser to the ledger.
        """
        options: dict[str, Any] = {"decay_target": decay_target}
        return step_arrays(cls(lr, 0.0, weight_decay, targets, eps, strength, cap, **options), w, g)

    @classmethod
    def warped_step(
        cls,
        w: Array,
        g: Array,
        lr: float,
        targets: Targets,
        eps: float = 0.0,
        strength: float | str = 1.0,
        cap: bool = False,
    ) -> Array:
        """The same with discretization "warp"."""
        options: dict[str, Any] = {"discretization": "warp"}
        return step_arrays(cls(lr, 0.0, 0.0, targets, eps, strength, cap, **options), w, g)

    @classmethod
    def mirror_step(
        cls,
        w: Array,
        g: Array,
        lr: float,
        targets: Targets,
        eps: float = 0.0,
        strength: float | str = 1.0,
        cap: bool = False,
    ) -> Array:
        """The same with discretization "mirror"."""
        options: dict[str, Any] = {"discretization": "mirror"}
        return step_arrays(cls(lr, 0.0, 0.0, targets, eps, strength, cap, **options), w, g)
