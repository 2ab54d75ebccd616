"""Transforms that act on some parameters only, and the optimiser of quantization-aware training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from psgd_ref.compress.grids.base import Grid
from psgd_ref.core import Targets
from psgd_ref.core.arguments import Array, real_number
from psgd_ref.nn import Model
from psgd_ref.nn.parameters import Role
from psgd_ref.training.optimizers.links.position import ScaleByPosition, target_rule
from psgd_ref.training.optimizers.links.transforms import (
    ScaleByAdam,
    State,
    Transform,
    decay_links,
    momentum_links,
)
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.schedules import Schedule

NETWORK: tuple[Role, ...] = ("weight", "bias", "norm")
GATES: tuple[Role, ...] = ("gate",)


@dataclass(frozen=True)
class Only:
    """A transform for the parameters of some roles; the directions of the others pass unchanged."""

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


@dataclass(frozen=True, eq=False)
class QAT(Optimizer):
    """SGD for quantization-aware training: weight decay acts on the network, not on its quantizers.

    Parameters
    ----------
    lr, momentum, weight_decay
        As in `SGD`.
    gates
        0 moves the gates' logits like all else; a > 0 moves them by Adam at the rate η·a.
    grid, strength, eps
        With a grid the latent weights' gradients are scaled by position, as by `PSGD`.

    Raises
    ------
    ValueError
        For values that are not accepted.
    """

    lr: float | Schedule = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    gates: float = 0.0
    grid: int | Grid | Targets | Mapping[str, Grid] | None = None
    strength: float | str = "volume"
    eps: float = 0.0

    def __post_init__(self) -> None:
        chain: list[Transform] = []
        if self.grid is not None:
            chain.append(ScaleByPosition(target_rule("QAT", self.grid), self.eps, self.strength))
        chain += [Only(NETWORK, link) for link in decay_links(self.weight_decay)]
        if real_number("gates", self.gates) > 0:
            chain += [Only((*NETWORK, "quantizer"), link) for link in momentum_links(self.momentum)]
            chain += [Only(GATES, ScaleByAdam()), Only(GATES, Multiply(self.gates))]
        else:
            chain += momentum_links(self.momentum)
        super().__init__(chain, self.lr)
