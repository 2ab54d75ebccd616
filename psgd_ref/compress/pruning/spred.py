"""spred: every weight a product of two trained numbers, which turns weight decay into an L1 penalty."""

import numpy as np

from psgd_ref.compress.parametrization import Parametrization, register_parametrization
from psgd_ref.core.arguments import Array, choice
from psgd_ref.kernels.shapes import shaped
from psgd_ref.nn import Model
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.model import check_model
from psgd_ref.nn.parameters import Parameter, ones

STARTS = ("balanced", "one")


class Product(Parametrization):
    """w = m ⊙ θ with a trained factor m in the shape of θ.

    Parameters
    ----------
    start
        Where m starts: "balanced", m = |θ| = √|w|, or "one", m = 1 and θ = w.
    """

    def __init__(self, shape: tuple[int, ...], start: str = "balanced") -> None:
        self.balanced = choice("start", start, STARTS) == "balanced"
        # Not to be pruned, quantized or scaled by itself: role "norm".
        self.factor = Parameter(shape, "norm", ones)

    def parameters(self) -> dict[str, Parameter]:
        return {"factor": self.factor}

    def start(self, w: Array) -> Array:
        """w/m, with m set as `start` says."""
        shaped("w", w, self.factor.shape)
        if not self.balanced:
            self.factor.value[...] = 1
            return w
        self.factor.value[...] = np.sqrt(np.abs(w))
        return np.copysign(self.factor.value, w)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        shaped("x", x, self.factor.shape)
        return x * self.factor.value, x if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        shaped("dy", dy, self.factor.shape)
        self.factor.grad[...] = dy * cache
        return np.asarray(dy * self.factor.value)


def spred(model: Model, start: str = "balanced") -> Model:
    """A new model of the same function with weights w = m ⊙ θ, both trained.

    Weight decay κ on m and θ, κ(m² + θ²)/2 ≥ κ|w|, is at its minimum an L1 penalty of strength κ on w: the
    same minima as LASSO, found by plain gradient descent. The scale of the flow of w is m² + θ²
    (2|w| when balanced); the flow conserves m² − θ², up to decay (claim G2, with u, v = (m ± θ)/2).
    A balanced model takes the plain gradient steps of Powerpropagation with α = 2 at half the rate; decay
    and momentum tell them apart.

    Parameters
    ----------
    start
        "balanced", |m| = |θ|, or "one", m = 1.

    Raises
    ------
    ValueError
        For another start.

    Source
    ------
    Ziyin and Wang 2023 (starts: ours).
    """
    check_model(model)
    return register_parametrization(model, lambda shape: Product(shape, start))
