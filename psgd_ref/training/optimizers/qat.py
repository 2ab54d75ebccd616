"""Transforms that act on some parameters only, and the optimiser of quantization-aware training."""

from dataclasses import dataclass

import numpy as np

from psgd_ref.compress.grids.base import Grid
from psgd_ref.core.arguments import Array, real_number
from psgd_ref.nn import Model
from psgd_ref.nn.parameters import Role
from psgd_ref.training.optimizers.optimizer import Optimizer, _decay, _momentum
from psgd_ref.training.optimizers.position import ScaleByPosition
from psgd_ref.training.optimizers.schedules import Schedule
from psgd_ref.training.optimizers.transforms import ScaleByAdam, State, Transform

NETWORK: tuple[Role, ...] = ("weight", "bias", "norm")
GATES: tuple[Role, ...] = ("gate",)


@dataclass(frozen=True)
class Only:
    """A transform for the parameters of some roles; the directions of the others pass as they are."""

    roles: tuple[Role, ...]
    transform: Transform

    def init(self, model: Model) -> State:
        return self.transform.init(model)

    def update(self, u: Array, model: Model, state: State) -> Array:
        chosen = np.zeros(model.w.shape, bool)
        for segment in model.segments:
            chosen[segment.span] = segment.role in self.roles
        return np.where(chosen, self.transform.update(u, model, state), u)


@dataclass(frozen=True)
class Multiply:
    """factor · u."""

    factor: float

    def init(self, model: Model) -> State:
        return {}

    def update(self, u: Array, model: Model, state: State) -> Array:
        return np.asarray(u * u.dtype.type(self.factor))


def QAT(  # noqa: N802
    lr: float | Schedule = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 1e-4,
    gates: float = 0.0,
    grid: Grid | None = None,
    strength: float | str = "volume",
    eps: float = 0.0,
) -> Optimizer:
    """SGD for a network with learning quantizers: decay acts on the network alone.

    lr, momentum, decay as in `SGD`
    gates          : 0 moves gates' logits as the rest; a > 0 moves them by Adam at the rate η·a
    grid, strength, eps : with a grid the latent weights' gradients are scaled by position, as by `PSGD`
    Raises ValueError for values outside those ranges.
    """
    pull = [Only(NETWORK, link) for link in _decay(weight_decay)]
    if real_number("gates", gates) > 0:
        average: list[Transform] = [Only((*NETWORK, "quantizer"), link) for link in _momentum(momentum)]
        average += [Only(GATES, ScaleByAdam()), Only(GATES, Multiply(gates))]
    else:
        average = list(_momentum(momentum))
    if grid is None:
        return Optimizer([*pull, *average], lr)
    position = ScaleByPosition(grid, eps, strength)
    return Optimizer([position, *pull, *average], lr, position)
