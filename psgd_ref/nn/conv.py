"""The convolution layer."""

from typing import Any

from psgd_ref import kernels
from psgd_ref.core.arguments import Array
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.parameters import Parameter, he_normal
from psgd_ref.nn.shapes import channels, floats, pair, window_output


class Conv2d(Layer):
    """Cross-correlation without bias (a batch norm follows); x (N, H, W, inputs), weight HWIO.

    size, stride, padding : whole numbers or (height, width) pairs
    """

    def __init__(self, inputs: int, outputs: int, size: Any, stride: Any = 1, padding: Any = 0) -> None:
        self.size, self.stride, self.padding = (
            pair("size", size, 1),
            pair("stride", stride, 1),
            pair("padding", padding, 0),
        )
        shape = (*self.size, inputs, outputs)
        self.weight = Parameter(shape, "weight", he_normal(self.size[0] * self.size[1] * inputs))

    def parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight}

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        channels("input of a convolution", floats("input of a convolution", x, "NHWC"), self.weight.shape[2])
        window_output(x, self.size, self.stride, self.padding)
        y = kernels.conv2d(x, self.weight.value, None, self.stride, self.padding)
        return y, x if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        dx, dw = kernels.conv2d_backward(dy, cache, self.weight.value, self.stride, self.padding, need_dx)
        self.weight.grad[...] = dw
        return dx
