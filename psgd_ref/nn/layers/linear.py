"""The fully connected layer."""

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, flag, whole_number
from psgd_ref.nn.layer import Shape
from psgd_ref.nn.parameters import Parameter, he_normal, zeros
from psgd_ref.nn.remade import Kept, unpacked
from psgd_ref.nn.weighted import Weighted


class Linear(Weighted):
    """y = x W + b; x (N, inputs), W (inputs, outputs), b (outputs,).

    Parameters
    ----------
    inputs, outputs
        Numbers per row of x and of y, ≥ 1.
    bias
        Whether there is a b.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        inputs, outputs = whole_number("inputs", inputs, 1), whole_number("outputs", outputs, 1)
        self.weight = Parameter((inputs, outputs), "weight", he_normal(inputs))
        self.bias = Parameter((outputs,), "bias", zeros) if flag("bias", bias) else None

    def output_shape(self, shape: Shape | None) -> Shape | None:
        return (self.weight.shape[1],)

    def __repr__(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"Linear({self.weight.shape[0]}, {self.weight.shape[1]}{bias})"

    def product(self, x: Kept, weight: Array, bias: Array | None) -> Array:
        return kernels.linear(unpacked(x), weight, bias)

    def product_backward(
        self,
        dy: Array,
        x: Kept,
        weight: Array,
        need_dx: bool,
        into: Array | None = None,
        bias_into: Array | None = None,
        plus: Array | None = None,
    ) -> tuple[Array | None, Array]:
        dx, dw = kernels.linear_backward(dy, unpacked(x), weight, need_dx, into, bias_into)
        return dx if dx is None or plus is None else dx + plus, dw
