"""Layer normalisation."""

import math
from typing import Any

import numpy as np

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, whole_number, whole_numbers
from psgd_ref.kernels.shapes import floats, shaped
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.linearised import Linearised, Views
from psgd_ref.nn.parameters import Parameter, ones, zeros


class LayerNorm(Layer):
    """y = γ x̂ + β, x̂ = (x − ⟨x⟩)/√(⟨(x − ⟨x⟩)²⟩ + eps), ⟨·⟩ the mean over the last axes of each example.

    Parameters
    ----------
    shape
        A whole number C: over the last axis, the channels of each pixel or the numbers of a row; or
        (H, W, C): over a whole image. γ and β have this shape.

    Source
    ------
    Ba, Kiros and Hinton 2016.
    """

    eps = 1e-5

    def __init__(self, shape: Any) -> None:
        lengths = whole_numbers("shape", shape, 1) if isinstance(shape, tuple | list) else (shape,)
        if len(lengths) not in (1, 3):
            raise ValueError(f"shape must be a whole number C, or (H, W, C); got {shape!r}")
        self.shape = tuple(whole_number("shape", length, 1) for length in lengths)
        self.weight, self.bias = Parameter(self.shape, "norm", ones), Parameter(self.shape, "norm", zeros)

    def __repr__(self) -> str:
        return f"LayerNorm({self.shape[0] if len(self.shape) == 1 else self.shape})"

    def parameters(self) -> dict[str, Parameter]:
        return {"weight": self.weight, "bias": self.bias}

    def linearised(self, training: bool) -> Linearised:
        return _Linearised(self)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        x_hat, r = self.normalised(x)
        return self.weight.value * x_hat + self.bias.value, (x_hat, r) if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        x_hat, r = cache
        shaped("dy", dy, x_hat.shape)
        self.sum_up(dy * x_hat, self.weight.grad)
        self.sum_up(dy, self.bias.grad)
        return r * self.centred(self.weight.value * dy, x_hat) if need_dx else None

    def normalised(self, x: Array) -> tuple[Array, Array]:
        """x̂ and r = 1/√(variance + eps), whose last axes have length 1."""
        count = len(self.shape)
        if floats("x", x).ndim <= count or x.shape[-count:] != self.shape:
            raise ValueError(f"x must have the axes (N, …, {self.shape}) at its end; got shape {x.shape}")
        centred = x - self.mean(x)
        r = np.asarray(1 / np.sqrt(self.mean(centred * centred) + self.eps), x.dtype)
        return centred * r, r

    def mean(self, x: Array) -> Array:
        """⟨x⟩ of each example; the axes stay, with length 1."""
        return np.asarray(x.mean(tuple(range(-len(self.shape), 0)), keepdims=True))

    def centred(self, x: Array, x_hat: Array) -> Array:
        """x − ⟨x⟩ − x̂ ⟨x x̂⟩."""
        return np.asarray(x - self.mean(x) - x_hat * self.mean(x * x_hat))

    def sum_up(self, x: Array, into: Array) -> None:
        """Write the sum over all examples into an array in the shape of γ."""
        size = math.prod(self.shape)
        into[...] = kernels.channel_sum(x.reshape(-1, size)).reshape(self.shape)


class _Linearised(Linearised):
    """With a = ⟨x̂ x′⟩, g = γ dy and c = g − ⟨g⟩ − x̂ ⟨g x̂⟩:   x̂′ = r (x′ − ⟨x′⟩ − a x̂),   r′ = −r² a,

    ∂L/∂x = r c, which changes by r′ c + r c′,   c′ = g′ − ⟨g′⟩ − x̂ ⟨g′ x̂⟩ − x̂′ ⟨g x̂⟩ − x̂ ⟨g x̂′⟩.
    """

    def __init__(self, layer: LayerNorm) -> None:
        self.layer = layer

    def forward(self, x: Array) -> Array:
        self.x_hat, self.r = self.layer.normalised(x)
        return self.layer.weight.value * self.x_hat + self.layer.bias.value

    def backward(self, dy: Array, gradient: Views) -> Array:
        layer, self.dy, self.g = self.layer, dy, self.layer.weight.value * dy
        layer.sum_up(dy * self.x_hat, gradient[layer.weight])
        layer.sum_up(dy, gradient[layer.bias])
        self.c = layer.centred(self.g, self.x_hat)
        return self.r * self.c

    def forward_change(self, dx: Array, change: Views) -> Array:
        layer = self.layer
        self.dx_hat = self.r * layer.centred(dx, self.x_hat)
        self.dr = -self.r * self.r * layer.mean(self.x_hat * dx)
        own = change[layer.weight] * self.x_hat + change[layer.bias]
        return np.asarray(own + layer.weight.value * self.dx_hat)

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        layer, x_hat, g = self.layer, self.x_hat, self.g
        layer.sum_up(ddy * x_hat + self.dy * self.dx_hat, out[layer.weight])
        layer.sum_up(ddy, out[layer.bias])
        dg = change[layer.weight] * self.dy + layer.weight.value * ddy
        dc = layer.centred(dg, x_hat) - self.dx_hat * layer.mean(g * x_hat)
        dc = dc - x_hat * layer.mean(g * self.dx_hat)
        return np.asarray(self.dr * self.c + self.r * dc)
