"""Powerpropagation: weights that are powers of what is trained, so that large ones learn faster."""

import numpy as np

from psgd_ref.compress.parametrization import Parametrization, register_parametrization
from psgd_ref.core.arguments import Array
from psgd_ref.kernels.shapes import floats, shaped
from psgd_ref.nn import Model
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.model import check_model

LARGEST_ALPHA = 5


class Powerpropagation(Parametrization):
    """w = θ|θ|^(α−1), ∂w/∂θ = α|θ|^(α−1), elementwise.

    At α = 2 gradient descent in θ with rate ηλ/4 is warped gradient descent towards 0 with strength λ and
    rate η (claim G1).

    Parameters
    ----------
    alpha
        α in [1, 5].

    Raises
    ------
    ValueError
        For another α.

    Source
    ------
    Schwarz et al. 2021.
    """

    def __init__(self, alpha: float) -> None:
        if not isinstance(alpha, int | float) or not 1 <= alpha <= LARGEST_ALPHA:
            raise ValueError(f"alpha must be a number in [1, {LARGEST_ALPHA}]; got {alpha!r}")
        self.alpha = float(alpha)

    def start(self, w: Array) -> Array:
        """sign(w) |w|^(1/α)."""
        return np.asarray(np.copysign(np.abs(floats("w", w)) ** (1 / self.alpha), w))

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        power = np.abs(floats("x", x)) ** (self.alpha - 1)
        return x * power, power if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        shaped("dy", dy, cache.shape)
        return np.asarray(self.alpha * cache * dy)


def powerpropagation(model: Model, alpha: float) -> Model:
    """A new model of the same function that is trained in θ, w = θ|θ|^(α−1).

    Weights start where the given model's are, as in the official code. `remove_parametrizations` gives the
    trained model in w.

    Parameters
    ----------
    alpha
        α in [1, 5]; 1 changes nothing.

    Raises
    ------
    ValueError
        For another α.

    Source
    ------
    Schwarz et al. 2021.
    """
    check_model(model)
    return register_parametrization(model, lambda shape: Powerpropagation(alpha))
