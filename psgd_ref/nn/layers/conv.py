"""The convolution layer."""

from typing import Any

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, flag, whole_number
from psgd_ref.kernels.shapes import pair
from psgd_ref.nn.layer import Shape
from psgd_ref.nn.layers.windows import shown, slid, square
from psgd_ref.nn.parameters import Parameter, he_normal, zeros
from psgd_ref.nn.weighted import Weighted


class Conv2d(Weighted):
    """Cross-correlation; x (N, H, W, inputs), weight HWIO, bias (outputs,).

    Parameters
    ----------
    inputs, outputs
        Numbers of channels, ≥ 1.
    size, stride, padding
        Whole numbers or (height, width) pairs.
    bias
        Whether there is one; there is none by default, because a batch norm follows.
    """

    def __init__(
        self, inputs: int, outputs: int, size: Any, stride: Any = 1, padding: Any = 0, bias: bool = False
    ) -> None:
        self.size, self.stride, self.padding = (
            pair("size", size, 1),
            pair("stride", stride, 1),
            pair("padding", padding, 0),
        )
        inputs, outputs = whole_number("inputs", inputs, 1), whole_number("outputs", outputs, 1)
        shape = (*self.size, inputs, outputs)
        self.weight = Parameter(shape, "weight", he_normal(self.size[0] * self.size[1] * inputs))
        self.bias = Parameter((outputs,), "bias", zeros) if flag("bias", bias) else None

    def output_shape(self, shape: Shape | None) -> Shape | None:
        return *slid(shape, self.size, self.stride, self.padding), self.weight.shape[3]

    def __repr__(self) -> str:
        inputs, outputs = self.weight.shape[2:]
        options = shown(stride=(self.stride, (1, 1)), padding=(self.padding, (0, 0)))
        bias = ", bias=True" if self.bias is not None else ""
        return f"Conv2d({inputs}, {outputs}, {square(self.size)}{options}{bias})"

    def product(self, x: Array, weight: Array, bias: Array | None) -> Array:
        return kernels.conv2d(x, weight, bias, self.stride, self.padding)

    def product_backward(
        self,
        dy: Array,
        x: Array,
        weight: Array,
        need_dx: bool,
        into: Array | None = None,
        bias_into: Array | None = None,
    ) -> tuple[Array | None, Array]:
        if bias_into is not None:
            kernels.channel_sum(dy, bias_into)
        return kernels.conv2d_backward(dy, x, weight, self.stride, self.padding, need_dx, into)
