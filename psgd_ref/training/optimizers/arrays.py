"""One step of an optimiser on bare arrays, without a network, for laws and small experiments."""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.nn import Layer, Model, Parameter
from psgd_ref.nn.parameters import zeros
from psgd_ref.training.optimizers.optimizer import Optimizer


class _Weights(Layer):
    """A network that is nothing but one array of weights."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.weight = Parameter(shape, "weight", zeros)

    def parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight}


def step_arrays(optimizer: Optimizer, w: Array, g: Array) -> Array:
    """The weights after the optimiser's first step from weights w and gradient g, both of one shape.

    float32 or float64; in the dtype of w.
    """
    model = Model(_Weights(w.shape), dtype=w.dtype)
    model.w[...], model.g[...] = w.ravel(), np.asarray(g, w.dtype).ravel()
    optimizer.update(model, optimizer.init(model))
    return model.w.reshape(w.shape)
