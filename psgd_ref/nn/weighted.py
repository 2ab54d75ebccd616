"""What layers with a weight share: their parameters, and the quantizers that they may hold."""

from typing import Any

from psgd_ref import kernels
from psgd_ref.core.arguments import Array
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.linearised import Linearised, Views
from psgd_ref.nn.parameters import Parameter
from psgd_ref.nn.remade import Kept, Remade


class Weighted(Layer):
    """y = product(x, W) + b, where x and W may each pass through a quantizer first.

    A quantizer is a layer like any other: it acts in training and in evaluation, has a backward pass and may
    have parameters (after it is inserted or removed, call `Model.lay_out_again`). Subclasses define
    `product`.

    Attributes
    ----------
    weight
        W.
    bias
        b; None for a layer without one.
    weight_quantizer, input_quantizer
        Layers that keep the shape of what they are given, or None.
    """

    weight: Parameter
    bias: Parameter | None
    weight_quantizer: Layer | None = None
    input_quantizer: Layer | None = None

    def product(self, x: Kept, weight: Array, bias: Array | None) -> Array:
        """The layer's output; x is an array for layers that do not say that they read anything else.

        Raises
        ------
        ValueError
            For an x that does not fit.
        """
        raise NotImplementedError

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
        """Gradients of `product` with respect to x and to the weight.

        Parameters
        ----------
        dy
            ∂L/∂y.
        x, weight
            As in `product`.
        need_dx
            Whether ∂L/∂x is needed; it is None otherwise.
        into
            An array for the gradient of the weight, a new one by default.
        bias_into
            An array for the gradient of the bias, which is not taken without one.
        plus
            Added to ∂L/∂x: the gradient of another use of x.
        """
        raise NotImplementedError

    def by_input(self, weight: Array) -> Array:
        """An array in the shape of the weight with a row for every input, (…, I, O).

        The weight of a grouped layer has rows for the inputs of one group only: the others are filled with
        zeros.
        """
        return weight

    def on_inputs(self, values: Array) -> Array:
        """Numbers for each input, (I,), in a shape that broadcasts against the weight."""
        return values[:, None]

    def parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight} if self.bias is None else {"weight": self.weight, "bias": self.bias}

    def children(self) -> dict[str, Layer]:
        held = {"weight_quantizer": self.weight_quantizer, "input_quantizer": self.input_quantizer}
        return {name: quantizer for name, quantizer in held.items() if quantizer is not None}

    def linearised(self, training: bool) -> Linearised:
        if self.children():
            raise ValueError(
                f"exact Hessian-vector products know no rule for a layer {type(self).__name__} that holds a "
                "quantizer; use method='differences'"
            )
        return _Linearised(self)

    def forward(self, x: Kept, training: bool) -> tuple[Array, Cache]:
        x, weight, bias, caches = self.operands(x, training)
        return self.product(x, weight, bias), [x, weight, *caches] if training else None

    def operands(self, x: Kept, training: bool) -> tuple[Kept, Array, Array | None, tuple[Cache, Cache]]:
        """x and the weight, each through its quantizer, the bias, and the quantizers' caches."""
        x, x_cache = _forward(self.input_quantizer, x, training)
        weight, weight_cache = _forward(self.weight_quantizer, self.weight.value, training)
        return x, weight, None if self.bias is None else self.bias.value, (x_cache, weight_cache)

    def keep_input(self, cache: Cache, kept: Remade) -> None:
        if self.input_quantizer is None:
            cache[0] = kept

    def backward(
        self, dy: Array, cache: Cache, need_dx: bool = True, plus: Array | None = None
    ) -> Array | None:
        """As `Layer.backward`; plus : the gradient of another use of x, added to ∂L/∂x."""
        x, weight, x_cache, weight_cache = cache
        # A quantizer's own parameters need the gradient of its output, whoever needs that of its input.
        need_dx = need_dx or self.input_quantizer is not None
        into = self.weight.grad if self.weight_quantizer is None else None
        bias_into = None if self.bias is None else self.bias.grad
        if self.input_quantizer is None:
            dx, dw = self.product_backward(dy, x, weight, need_dx, into, bias_into, plus)
        else:
            dx, dw = self.product_backward(dy, x, weight, need_dx, into, bias_into)
        if into is None:
            self.weight.grad[...] = _backward(self.weight_quantizer, dw, weight_cache)
        if dx is None or self.input_quantizer is None:
            return dx
        dx = _backward(self.input_quantizer, dx, x_cache)
        return dx if plus is None else dx + plus


def _forward(quantizer: Layer | None, x: Any, training: bool) -> tuple[Any, Cache]:
    return (x, None) if quantizer is None else quantizer.forward(x, training)


def _backward(quantizer: Layer | None, dy: Array, cache: Cache) -> Array:
    if quantizer is None:
        return dy
    dx = quantizer.backward(dy, cache)
    assert dx is not None
    return dx


class _Linearised(Linearised):
    """y = B(x, W) + b with a bilinear B: B′ = B(x′, W) + B(x, W′)."""

    def __init__(self, layer: Weighted) -> None:
        self.layer = layer

    def forward(self, x: Array) -> Array:
        self.x, bias = x, self.layer.bias
        return self.layer.product(x, self.layer.weight.value, None if bias is None else bias.value)

    def backward(self, dy: Array, gradient: Views) -> Array:
        self.dy = dy
        return self._pull_back(dy, self.x, self.layer.weight.value, gradient)

    def forward_change(self, dx: Array, change: Views) -> Array:
        layer, self.dx = self.layer, dx
        bias = None if layer.bias is None else change[layer.bias]
        return layer.product(dx, layer.weight.value, bias) + layer.product(self.x, change[layer.weight], None)

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        layer = self.layer
        by_gradient = self._pull_back(ddy, self.x, layer.weight.value, out)
        by_input, dw = layer.product_backward(self.dy, self.dx, change[layer.weight], need_dx=True)
        assert by_input is not None
        out[layer.weight][...] += dw
        return by_gradient + by_input

    def _pull_back(self, dy: Array, x: Array, weight: Array, into: Views) -> Array:
        dx, into[self.layer.weight][...] = self.layer.product_backward(dy, x, weight, need_dx=True)
        if self.layer.bias is not None:
            into[self.layer.bias][...] = kernels.channel_sum(dy)
        assert dx is not None
        return dx
