"""The fully connected layer."""

from psgd_ref import kernels
from psgd_ref.core.arguments import Array
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.parameters import Parameter, he_normal, zeros
from psgd_ref.nn.shapes import channels, floats


class Linear(Layer):
    """y = x W + b; x (N, inputs), W (inputs, outputs), b (outputs,)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.weight = Parameter((inputs, outputs), "weight", he_normal(inputs))
        self.bias = Parameter((outputs,), "bias", zeros)

    def parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight, "bias": self.bias}

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        channels("input of a linear layer", floats("input of a linear layer", x, "NI"), self.weight.shape[0])
        return kernels.linear(x, self.weight.value, self.bias.value), x if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        dx, dw = kernels.linear_backward(dy, cache, self.weight.value, need_dx)
        self.weight.grad[...] = dw
        self.bias.grad[...] = kernels.channel_sum(dy)
        return dx
