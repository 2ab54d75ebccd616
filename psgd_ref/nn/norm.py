"""Batch normalisation, with the residual sum and the ReLU that often follow it."""

import numpy as np

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, flag, whole_number
from psgd_ref.kernels.shapes import floats
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.parameters import Parameter, ones, zeros
from psgd_ref.nn.remade import Remade

# Numbers from which an output is worth a second pass over the input in place of memory.
_LARGE = 1 << 18


class BatchNorm(Layer):
    """y = γ (x − m)/√(v + eps) + β [+ residual], then max(y, 0) with `relu`.

    In training m and v are the batch's mean and biased variance, and the running statistics move by
    `momentum` towards m and the unbiased variance, as PyTorch's do. In evaluation m and v are the running
    ones.

    Parameters
    ----------
    features
        The length of the last axis of x, (…, features).
    relu
        Whether max(y, 0) follows.

    Source
    ------
    Ioffe and Szegedy 2015.
    """

    eps = 1e-5
    momentum = 0.1

    def __init__(self, features: int, relu: bool = False) -> None:
        whole_number("features", features, 1)
        self.relu = flag("relu", relu)
        self.weight = Parameter((features,), "norm", ones)
        self.bias = Parameter((features,), "norm", zeros)
        self.running_mean = np.zeros(features, np.float32)
        self.running_var = np.ones(features, np.float32)

    def __repr__(self) -> str:
        return f"BatchNorm({self.weight.shape[0]}{', relu=True' if self.relu else ''})"

    def parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight, "bias": self.bias}

    def buffers(self) -> dict[str, Array]:
        return {"running_mean": self.running_mean, "running_var": self.running_var}

    def forward(self, x: Array, training: bool, residual: Array | None = None) -> tuple[Array, Cache]:
        gamma, beta = self.weight.value, self.bias.value
        if not training:
            floats("x", x)
            mean, var = self.running_mean.astype(x.dtype), self.running_var.astype(x.dtype)
            return kernels.batch_norm_eval(x, gamma, beta, mean, var, self.eps, residual, self.relu), None
        running = self.running_mean, self.running_var, self.momentum
        y, mean, var = kernels.batch_norm_train(x, gamma, beta, *running, self.eps, residual, self.relu)
        kept = y if y.size < _LARGE else None
        return y, Remade(x, gamma, beta, mean, var, self.eps, residual, self.relu, kept)

    def kept_output(self, cache: Cache) -> Remade | None:
        remade: Remade = cache
        return remade

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        return self._backward(dy, cache, False)[0]

    def backward_sum(self, dy: Array, cache: Cache) -> tuple[Array, Array]:
        """∂L/∂x and ∂L/∂residual."""
        dx, dz = self._backward(dy, cache, True)
        assert dz is not None
        return dx, dz

    def _backward(self, dy: Array, cache: Cache, need_dz: bool) -> tuple[Array, Array | None]:
        into, y = (self.weight.grad, self.bias.grad), cache.array() if self.relu else None
        dx, _, _, dz = kernels.batch_norm_backward(
            dy, cache.x, y, self.weight.value, cache.mean, cache.var, self.eps, self.relu, need_dz, into
        )
        return dx, dz
