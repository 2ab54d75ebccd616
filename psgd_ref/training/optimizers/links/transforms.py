"""The small steps that make up an optimiser: each turns one update direction into the next.

A transform, a link of the chain, holds its options; what changes from step to step is in its state, a
dictionary of arrays. The optimiser keeps every link's arrays apart, so that two links of a kind share
nothing, and in one dictionary, so that saving the dictionary saves everything.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, below_one, real_number
from psgd_ref.kernels import memory
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.schedules import Schedule

State = dict[str, npt.NDArray[Any]]


class Transform(Protocol):
    """One link of the chain."""

    def init(self, model: Model) -> State:
        """The arrays that this link keeps, before the first step."""
        ...

    def update(self, u: Array, model: Model, state: State) -> Array:
        """The next direction from direction u (n,), at model.w.

        `state` holds this link's own arrays, under the names that `init` gave them, and `step`, the number
        of steps taken. Modifies its own arrays, in place.
        """
        ...


@dataclass(frozen=True)
class AddDecay:
    """u + κ w: weight decay. Behind the position scale it is unscaled, before it scaled (claim E4).

    weight_decay : κ, a number ≥ 0 or a schedule
    """

    weight_decay: float | Schedule

    def init(self, model: Model) -> State:
        return {}

    def update(self, u: Array, model: Model, state: State) -> Array:
        return u + schedule_value("weight_decay", self.weight_decay, state) * model.w


@dataclass(frozen=True)
class Momentum:
    """v ← μ v + u, and v is the direction (Polyak's heavy ball, PyTorch's form)."""

    momentum: float

    def init(self, model: Model) -> State:
        return {"momentum": memory.zeros(model.w.shape, model.w.dtype)}

    def update(self, u: Array, model: Model, state: State) -> Array:
        velocity = state["momentum"]
        velocity *= self.momentum
        velocity += u
        return velocity


@dataclass(frozen=True)
class ScaleByAdam:
    """m̂/(√v̂ + eps) with running means m of u and v of u² (Kingma and Ba 2015)."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        below_one("beta1", self.beta1)
        below_one("beta2", self.beta2)
        real_number("eps", self.eps, positive=True)

    def init(self, model: Model) -> State:
        count = np.zeros((), np.int64)
        m, v = (memory.zeros(model.w.shape, model.w.dtype) for _ in range(2))
        return {"adam_m": m, "adam_v": v, "adam_count": count}

    def update(self, u: Array, model: Model, state: State) -> Array:
        m, v = state["adam_m"], state["adam_v"]
        state["adam_count"] += 1
        count = int(state["adam_count"])
        m += (1 - self.beta1) * (u - m)
        v += (1 - self.beta2) * (u * u - v)
        corrected = np.sqrt(v / (1 - self.beta2**count)) + self.eps
        return np.asarray(m / (1 - self.beta1**count) / corrected)


def decay_links(weight_decay: float | Schedule) -> list[Transform]:
    """The link that adds κ w, none for κ = 0; ValueError unless κ is a schedule or a number ≥ 0."""
    if callable(weight_decay) or real_number("weight_decay", weight_decay) > 0:
        return [AddDecay(weight_decay)]
    return []


def schedule_value(name: str, value: float | Schedule, state: State) -> float:
    """What an option is at the next step: itself, or its schedule's value; ValueError unless that is ≥ 0."""
    return real_number(name, value(int(state["step"]))) if callable(value) else value


def momentum_links(momentum: float) -> list[Transform]:
    """The link that averages, none for μ = 0; ValueError unless μ lies in [0, 1)."""
    return [Momentum(momentum)] if below_one("momentum", momentum) > 0 else []
