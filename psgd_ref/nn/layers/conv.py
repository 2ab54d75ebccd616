"""The convolution layer."""

from typing import Any

import numpy as np

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, flag, whole_number
from psgd_ref.kernels.shapes import pair
from psgd_ref.nn.layer import Cache, Shape
from psgd_ref.nn.layers.windows import border, shown, slid, square
from psgd_ref.nn.parameters import Parameter, he_normal, zeros
from psgd_ref.nn.remade import Kept, Remade, RemadeGradient, unpacked
from psgd_ref.nn.weighted import Weighted


class Conv2d(Weighted):
    """Cross-correlation; x (N, H, W, inputs), weight HWIO with I = inputs/groups, bias (outputs,).

    Parameters
    ----------
    inputs, outputs
        Numbers of channels, ≥ 1.
    size, stride
        Whole numbers or (height, width) pairs.
    padding
        The same, or "same" at stride 1: what keeps height and width; where that is odd, one more at the
        bottom and the right, as in PyTorch.
    bias
        Whether there is one; there is none by default, because a batch norm follows.
    groups
        Divides inputs and outputs; the outputs of a group see the inputs of that group alone. As many groups
        as inputs make a depthwise convolution.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: Any,
        stride: Any = 1,
        padding: Any = 0,
        bias: bool = False,
        groups: int = 1,
    ) -> None:
        self.size, self.stride = pair("size", size, 1), pair("stride", stride, 1)
        # With "same" and an even size both sides are padded alike, which gives one row (column) too many: the
        # first.
        self.padding, self.surplus = border(self.size, self.stride, padding)
        inputs, outputs = whole_number("inputs", inputs, 1), whole_number("outputs", outputs, 1)
        self.groups = whole_number("groups", groups, 1)
        if inputs % groups or outputs % groups:
            raise ValueError(f"groups must divide inputs and outputs, {inputs} and {outputs}; got {groups}")
        shape = (*self.size, inputs // groups, outputs)
        self.weight = Parameter(shape, "weight", he_normal(self.size[0] * self.size[1] * (inputs // groups)))
        self.bias = Parameter((outputs,), "bias", zeros) if flag("bias", bias) else None

    @property
    def inputs(self) -> int:
        """Channels of x."""
        return self.weight.shape[2] * self.groups

    def output_shape(self, shape: Shape | None) -> Shape | None:
        return *slid(shape, self.size, self.stride, self.padding, self.surplus), self.weight.shape[3]

    def __repr__(self) -> str:
        options = shown(stride=(self.stride, (1, 1)), padding=(self.padding, (0, 0)))
        if any(self.surplus):
            options = ', padding="same"'
        bias = ", bias=True" if self.bias is not None else ""
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"Conv2d({self.inputs}, {self.weight.shape[3]}, {square(self.size)}{options}{bias}{groups})"

    def reads(self, x: Array) -> bool:
        return (
            self.groups == 1
            and self.input_quantizer is None
            and kernels.normalises(x, self.weight.value, self.stride, self.padding)
        )

    def reads_gradient(self, cache: Cache) -> bool:
        x, weight = cache[:2]
        images = x.x if isinstance(x, Remade) else x
        return (
            self.groups == 1
            and self.bias is None
            and not any(self.surplus)
            and kernels.normalises(images, weight, self.stride, self.padding)
        )

    def forward_through(self, x: Kept, after: kernels.After) -> Array:
        """The output in evaluation, passed through the batch norm that comes after."""
        x, weight, bias, _ = self.operands(x, False)
        if self.groups > 1 or any(self.surplus):
            return kernels.batch_norm_eval(
                self.product(x, weight, bias), *after.norm, after.residual, after.relu
            )
        norm, images = (x.norm, x.x) if isinstance(x, Remade) else (None, x)
        return kernels.conv2d(images, weight, bias, self.stride, self.padding, norm, after)

    def product(self, x: Kept, weight: Array, bias: Array | None) -> Array:
        if isinstance(x, Remade):
            y = kernels.conv2d(x.x, weight, bias, self.stride, self.padding, x.norm)
        elif self.groups > 1:
            y = kernels.grouped_conv2d(x, weight, bias, self.stride, self.padding, self.groups)
        else:
            y = kernels.conv2d(x, weight, bias, self.stride, self.padding)
        rows, columns = self.surplus
        return np.ascontiguousarray(y[:, rows:, columns:]) if any(self.surplus) else y

    def product_backward(
        self,
        dy: Array | RemadeGradient,
        x: Kept,
        weight: Array,
        need_dx: bool,
        into: Array | None = None,
        bias_into: Array | None = None,
        plus: Array | None = None,
    ) -> tuple[Array | None, Array]:
        dy, through = (dy.given, dy.through) if isinstance(dy, RemadeGradient) else (dy, None)
        if bias_into is not None:
            kernels.channel_sum(dy, bias_into)
        if any(self.surplus):
            rows, columns = self.surplus
            dy = np.pad(dy, ((0, 0), (rows, 0), (columns, 0), (0, 0)))
        if self.groups > 1:
            dx, dw = kernels.grouped_conv2d_backward(
                dy, unpacked(x), weight, self.stride, self.padding, self.groups, need_dx, into
            )
            return dx if dx is None or plus is None else dx + plus, dw
        norm, images = (x.norm, x.x) if isinstance(x, Remade) else (None, x)
        if norm is None or not self.reads(images):
            norm, images = None, unpacked(x)
        return kernels.conv2d_backward(
            dy, images, weight, self.stride, self.padding, need_dx, into, norm, plus, through
        )

    def by_input(self, weight: Array) -> Array:
        if self.groups == 1:
            return weight
        dense = np.zeros((*weight.shape[:-2], self.groups, *weight.shape[-2:]), weight.dtype)
        outputs = np.arange(weight.shape[-1])
        group = outputs // (weight.shape[-1] // self.groups)
        dense[..., group, :, outputs] = np.moveaxis(weight, -1, 0)
        return dense.reshape(*weight.shape[:-2], self.inputs, weight.shape[-1])

    def on_inputs(self, values: Array) -> Array:
        if self.groups == 1:
            return values[:, None]
        each = self.weight.shape[-1] // self.groups
        return np.asarray(values.reshape(self.groups, -1).T.repeat(each, axis=1))
