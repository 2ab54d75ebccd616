"""Pooling layers; x (N, H, W, C)."""

from typing import Any

import numpy as np

from psgd_ref import kernels
from psgd_ref.core.arguments import Array
from psgd_ref.kernels.shapes import Pair, pair, pool_padding
from psgd_ref.nn.layer import Cache, Layer, Shape
from psgd_ref.nn.layers.windows import shown, slid, square
from psgd_ref.nn.linearised import Linearised, LinearMap, Views


class _Pool(Layer):
    """The window that both kinds of pooling share; stride defaults to the size."""

    def __init__(self, size: Any, stride: Any = None, padding: Any = 0) -> None:
        self.size = pair("size", size, 1)
        self.stride = pair("stride", self.size if stride is None else stride, 1)
        self.padding = pair("padding", padding, 0)
        pool_padding(self.size, self.padding)

    def output_shape(self, shape: Shape | None) -> Shape | None:
        return *slid(shape, *self.window), None if shape is None else shape[-1]

    def __repr__(self) -> str:
        options = shown(stride=(self.stride, self.size), padding=(self.padding, (0, 0)))
        return f"{type(self).__name__}({square(self.size)}{options})"

    @property
    def window(self) -> tuple[Pair, Pair, Pair]:
        """Size, stride and padding."""
        return self.size, self.stride, self.padding


class MaxPool2d(_Pool):
    """Largest value of each window."""

    def linearised(self, training: bool) -> Linearised:
        return _LinearisedMaxPool(self)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        y, winner = kernels.max_pool2d(x, *self.window)
        return y, (winner, x.shape) if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        winner, shape = cache
        return kernels.max_pool2d_backward(dy, winner, shape, *self.window)


class AvgPool2d(_Pool):
    """Mean of each window, padding counted as zeros."""

    def linearised(self, training: bool) -> Linearised:
        return LinearMap(self)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return kernels.avg_pool2d(x, *self.window), x.shape if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        return kernels.avg_pool2d_backward(dy, cache, *self.window)


class GlobalAvgPool(Layer):
    """Mean over height and width: (N, H, W, C) → (N, C)."""

    def output_shape(self, shape: Shape | None) -> Shape | None:
        return None if shape is None else shape[-1:]

    def linearised(self, training: bool) -> Linearised:
        return LinearMap(self)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return kernels.global_avg_pool(x), x.shape

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        return kernels.global_avg_pool_backward(dy, cache)


class _LinearisedMaxPool(LinearMap):
    """Linear away from ties: each window passes on the position of its maximum."""

    layer: MaxPool2d

    def forward_change(self, dx: Array, change: Views) -> Array:
        winner, _ = self.cache
        (_, width), (down, right), (top, left) = self.layer.window
        images, rows, columns, channels = np.indices(winner.shape, sparse=True)
        rows, columns = rows * down - top + winner // width, columns * right - left + winner % width
        return np.asarray(dx[images, rows, columns, channels])
