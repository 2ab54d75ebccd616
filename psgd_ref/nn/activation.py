"""Layers without parameters that act elementwise or only reshape."""

from psgd_ref import kernels
from psgd_ref.core.arguments import Array
from psgd_ref.nn.layer import Cache, Layer


class ReLU(Layer):
    """max(x, 0)."""

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        y = kernels.relu(x)
        return y, y if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        return kernels.relu_backward(dy, cache)


class Flatten(Layer):
    """(N, …) → (N, product of the rest)."""

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return x.reshape(x.shape[0], -1), x.shape if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        return dy.reshape(cache)
