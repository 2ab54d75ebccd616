"""Optimisers as chains of small transforms: SGD, PSGD and Adam."""

from collections.abc import Mapping, Sequence

import numpy as np

from psgd_ref.compress.grids.base import Grid, as_grid
from psgd_ref.compress.pruning.prune import prunable
from psgd_ref.core import Targets
from psgd_ref.core.arguments import Array, choice, real_number
from psgd_ref.core.clustering import soft_threshold
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.fused import fuse
from psgd_ref.training.optimizers.position import ScaleByPosition
from psgd_ref.training.optimizers.schedules import Schedule, constant
from psgd_ref.training.optimizers.transforms import AddDecay, Momentum, ScaleByAdam, State, Transform


class Optimizer:
    """A chain of transforms, a learning rate, and the move along the direction that comes out.

    u = t_k(… t_1(g)),   w ← w − η u   (or the same Euler step in other coordinates, see `step`)

    lr              : η, a number ≥ 0 or a schedule from the number of steps taken to η
    position        : the position scale in the chain, if there is one
    decoupled_decay : κ of a decay that acts on w by itself, w ← (1 − ηκ) w, beside the move
    l1              : weights are moved towards 0 by η·l1, but not past it, behind the move (`ProximalL1`)
    """

    def __init__(
        self,
        chain: Sequence[Transform],
        lr: float | Schedule,
        position: ScaleByPosition | None = None,
        decoupled_decay: float = 0.0,
        l1: float = 0.0,
    ) -> None:
        self.chain = tuple(chain)
        self.lr: Schedule = lr if callable(lr) else constant(lr)
        self.position = position
        self.decoupled_decay = real_number("weight_decay", decoupled_decay)
        self.l1 = real_number("l1", l1)
        self.fused = fuse(self.chain) if decoupled_decay == 0 else None

    def init(self, model: Model) -> State:
        """The state before the first step: a dictionary of arrays, `step` among them."""
        state: State = {"step": np.zeros((), np.int64)}
        for transform in self.chain:
            state |= transform.init(model)
        return state

    def update(self, model: Model, state: State) -> State:
        """One step from the gradient in model.g. Modifies model.w and the arrays of `state`; returns it.

        What the model's mask prunes stays 0, whatever momentum or decay would do to it.
        """
        model.apply_mask()
        if self.fused is None:
            self.apply_chain(model, state)
        else:
            self.fused.update(model, state, self.rate(state))
        if self.l1 > 0:
            for part in prunable(model):
                model.w[part.span] = soft_threshold(model.w[part.span], self.rate(state) * self.l1)
        model.apply_mask()
        state["step"] += 1
        return state

    def apply_chain(self, model: Model, state: State) -> None:
        """The step, transform by transform; where `update` takes it in one pass, this is its oracle."""
        u: Array = model.g
        for transform in self.chain:
            u = transform.update(u, model, state)
        lr = self.rate(state)
        if self.decoupled_decay > 0:
            model.w *= 1 - lr * self.decoupled_decay
        if self.position is None:
            model.w -= lr * u
        else:
            self.position.move(u, model, state, lr)

    def rate(self, state: State) -> float:
        """η of the next step."""
        return self.lr(int(state["step"]))

    def effective_rates(self, model: Model, state: State) -> dict[str, float]:
        """η · mean(s) of every parameter, by name: what a rate means once the gradient is scaled."""
        scale = np.ones_like(model.w) if self.position is None else self.position.scale(model, state)
        return {part.name: self.rate(state) * float(scale[part.span].mean()) for part in model.segments}


def SGD(lr: float | Schedule = 0.1, momentum: float = 0.9, weight_decay: float = 1e-4) -> Optimizer:  # noqa: N802
    """Stochastic gradient descent: u = g + κw, v ← μv + u, w ← w − ηv.

    lr η ≥ 0 or a schedule, momentum μ in [0, 1), decay κ ≥ 0. Raises ValueError outside these.
    """
    return Optimizer([*_decay(weight_decay), *_momentum(momentum)], lr)


def PSGD(  # noqa: N802
    lr: float | Schedule = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    grid: Grid | Targets | Mapping[str, Grid] | None = None,
    eps: float | Schedule = 0.0,
    strength: float | str = "volume",
    cap: bool = False,
    decay_order: str = "unscaled",
    momentum_order: str = "scaled",
    refresh: int | str = 1,
    discretization: str = "psgd",
) -> Optimizer:
    """Position-based scaled gradient descent: u = s(w) ⊙ g + κw, v ← μv + u, w ← w − ηv.

    grid           : the rule for the targets, `MinMaxGrid(bits)` and the like, fixed targets (`Zero()`), or
                     rules by parameter name, such as the `grids` that `lapq` found
    eps, strength, cap, refresh, step : see `ScaleByPosition`
    decay_order    : "unscaled" adds κw behind the scale, as the official code does; "scaled" before it,
                     as part of the loss. With step "warp" or "mirror" unscaled decay acts on w itself.
    momentum_order : "scaled" averages the scaled gradient, as the official code does; "gradient"
                     averages the gradient and scales the average
    lr, momentum, decay as in `SGD`. Raises ValueError for values that are not accepted.
    Source: the paper, Eq. (7); defaults of the official code except the strength (claim C3).
    """
    if grid is None:
        raise ValueError("PSGD needs a grid: MinMaxGrid(bits=4), or fixed targets such as Zero()")
    rules = grid if isinstance(grid, Mapping) else as_grid(grid)
    position = ScaleByPosition(rules, eps, strength, cap, refresh, discretization)
    decay_scaled = choice("decay_order", decay_order, ("unscaled", "scaled")) == "scaled"
    momentum_scaled = choice("momentum_order", momentum_order, ("scaled", "gradient")) == "scaled"
    pull, average = _decay(weight_decay), _momentum(momentum)
    core = [position, *average] if momentum_scaled else [*average, position]
    if decay_scaled:
        return Optimizer([*pull, *core], lr, position)
    if discretization != "psgd":
        return Optimizer(core, lr, position, decoupled_decay=weight_decay)
    core = [position, *pull, *average] if momentum_scaled else [*average, position, *pull]
    return Optimizer(core, lr, position)


def ProximalL1(  # noqa: N802
    lr: float | Schedule = 0.1, momentum: float = 0.9, weight_decay: float = 1e-4, penalty: float = 1e-4
) -> Optimizer:
    """SGD for L + penalty·‖weights‖₁ by proximal steps: w ← soft(w − ηv, η·penalty/(1 − μ)), v as in `SGD`.

    soft(c, a) = sign(c) max(|c| − a, 0), on weights, not on biases and batch norms. At rest v = g/(1 − μ),
    so the fixed points are, with any momentum, those of the penalised loss: |g| ≤ penalty where w = 0.
    penalty ≥ 0, others as in `SGD`. Source: Daubechies, Defrise, De Mol 2004 (from memory).
    """
    chain = [*_decay(weight_decay), *_momentum(momentum)]
    return Optimizer(chain, lr, l1=real_number("penalty", penalty) / (1 - momentum))


def Adam(  # noqa: N802
    lr: float | Schedule = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Adam with decoupled decay: w ← w − η(m̂/(√v̂ + eps) + κw).

    beta1, beta2 in [0, 1), eps > 0, decay κ ≥ 0. Source: Kingma and Ba 2015; Loshchilov and Hutter 2019.
    """
    adam = ScaleByAdam(
        _below_one("beta1", beta1), _below_one("beta2", beta2), real_number("eps", eps, positive=True)
    )
    return Optimizer([adam], lr, decoupled_decay=weight_decay)


def PSGDAdam(  # noqa: N802
    lr: float | Schedule = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    grid: Grid | Targets | None = None,
    strength: float | str = "volume",
    order: str = "gradient",
) -> Optimizer:
    """Adam with the position scale before its preconditioner, or behind it.

    order : "gradient" scales g, as the official code does; where s changes slowly Adam's division by √v̂
            takes it out again. "direction" scales m̂/(√v̂ + eps), which nothing takes out.
    grid, strength as in `PSGD`; others as in `Adam`. Raises ValueError for values that are not accepted.
    """
    if grid is None:
        raise ValueError("PSGDAdam needs a grid: MinMaxGrid(bits=4), or fixed targets such as Zero()")
    before = choice("order", order, ("gradient", "direction")) == "gradient"
    position = ScaleByPosition(as_grid(grid), strength=strength)
    adam = Adam(lr, beta1, beta2, eps).chain
    return Optimizer(
        [position, *adam] if before else [*adam, position], lr, position, decoupled_decay=weight_decay
    )


def _decay(weight_decay: float) -> list[Transform]:
    return [AddDecay(weight_decay)] if real_number("weight_decay", weight_decay) > 0 else []


def _momentum(momentum: float) -> list[Transform]:
    return [Momentum(momentum)] if _below_one("momentum", momentum) > 0 else []


def _below_one(name: str, value: float) -> float:
    if real_number(name, value) >= 1:
        raise ValueError(f"{name} must lie in [0, 1); got {value!r}")
    return float(value)
