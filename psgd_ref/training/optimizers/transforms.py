"""The small steps that make up an optimiser: each turns one update direction into the next.

A transform holds its options; what changes from step to step is in a state, a dictionary of arrays
that all transforms of a chain share, so that saving the state saves everything.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model

State = dict[str, npt.NDArray[Any]]


class Transform(Protocol):
    """One link of the chain."""

    def init(self, model: Model) -> State:
        """The arrays that this transform keeps, before the first step."""
        ...

    def update(self, u: Array, model: Model, state: State) -> Array:
        """The next direction from direction u (n,), at model.w. Modifies its own arrays in `state`."""
        ...


@dataclass(frozen=True)
class AddDecay:
    """u + κ w: weight decay. Behind the position scale it is unscaled, before it scaled (claim E4)."""

    weight_decay: float

    def init(self, model: Model) -> State:
        return {}

    def update(self, u: Array, model: Model, state: State) -> Array:
        return u + self.weight_decay * model.w


@dataclass(frozen=True)
class Momentum:
    """v ← μ v + u, and v is the direction (Polyak's heavy ball, PyTorch's form)."""

    momentum: float

    def init(self, model: Model) -> State:
        return {"momentum": np.zeros_like(model.w)}

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

    def init(self, model: Model) -> State:
        count = np.zeros((), np.int64)
        return {"adam_m": np.zeros_like(model.w), "adam_v": np.zeros_like(model.w), "adam_count": count}

    def update(self, u: Array, model: Model, state: State) -> Array:
        m, v = state["adam_m"], state["adam_v"]
        state["adam_count"] += 1
        count = int(state["adam_count"])
        m += (1 - self.beta1) * (u - m)
        v += (1 - self.beta2) * (u * u - v)
        corrected = np.sqrt(v / (1 - self.beta2**count)) + self.eps
        return np.asarray(m / (1 - self.beta1**count) / corrected)
