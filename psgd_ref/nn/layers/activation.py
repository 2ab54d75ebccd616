"""Elementwise layers, y = f(x)."""

import math

import numpy as np
from scipy.special import expit, ndtr

from psgd_ref import kernels
from psgd_ref.core.arguments import Array, choice, finite_number
from psgd_ref.kernels.shapes import floats, shaped
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.linearised import Linearised, LinearMap, Views
from psgd_ref.nn.remade import Remade, unpacked

# Beyond ±40 exp(−x²/2), and 1 ± tanh of more than x, are exactly 0 in float64.
_FAR = 40.0


class ReLU(Layer):
    """max(x, 0)."""

    def linearised(self, training: bool) -> Linearised:
        return _LinearisedReLU(self)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        y = kernels.relu(x)
        return y, y if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        return kernels.relu_backward(dy, cache)


class _LinearisedReLU(LinearMap):
    """Linear away from its kinks: what is below zero stays zero."""

    def forward_change(self, dx: Array, change: Views) -> Array:
        return kernels.relu_backward(dx, self.cache)


class Elementwise(Layer):
    """y = f(x): a subclass defines f, its slope f′ and its bend f″, each in x's shape and dtype."""

    def value(self, x: Array) -> Array:
        """f(x)."""
        raise NotImplementedError

    def slope(self, x: Array) -> Array:
        """f′(x)."""
        raise NotImplementedError

    def bend(self, x: Array) -> Array:
        """f″(x), 0 where f is piecewise linear."""
        return np.zeros_like(x)

    def linearised(self, training: bool) -> Linearised:
        return _LinearisedElementwise(self)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return np.asarray(self.value(floats("x", x)), x.dtype), [x] if training else None

    def keep_input(self, cache: Cache, kept: Remade) -> None:
        cache[0] = kept

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        x = unpacked(cache[0])
        shaped("dy", dy, x.shape)
        return np.asarray(dy * self.slope(x), dy.dtype)


class _LinearisedElementwise(Linearised):
    """y′ = f′(x) x′;   ∂L/∂x = f′(x) dy, which changes by f′(x) dy′ + f″(x) x′ dy."""

    def __init__(self, layer: Elementwise) -> None:
        self.layer = layer

    def forward(self, x: Array) -> Array:
        self.slope, self.bend = self.layer.slope(x), self.layer.bend(x)
        return self.layer.value(x)

    def backward(self, dy: Array, gradient: Views) -> Array:
        self.dy = dy
        return np.asarray(self.slope * dy)

    def forward_change(self, dx: Array, change: Views) -> Array:
        self.dx = dx
        return np.asarray(self.slope * dx)

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        return np.asarray(self.slope * ddy + self.bend * self.dx * self.dy)


class LeakyReLU(Elementwise):
    """x for x > 0, else a x.

    Parameters
    ----------
    negative_slope
        a, any finite number.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = finite_number("negative_slope", negative_slope)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.negative_slope:g})"

    def value(self, x: Array) -> Array:
        return np.where(x > 0, x, x * self.negative_slope)

    def slope(self, x: Array) -> Array:
        return np.where(x > 0, 1, self.negative_slope).astype(x.dtype)


class ReLU6(Elementwise):
    """min(max(x, 0), 6)."""

    def value(self, x: Array) -> Array:
        return np.clip(x, 0, 6)

    def slope(self, x: Array) -> Array:
        return ((x > 0) & (x < 6)).astype(x.dtype)


class GELU(Elementwise):
    """x Φ(x), Φ the normal distribution function; or with tanh in its place.

    "none": Φ(x) = ½ (1 + erf(x/√2));   "tanh": ½ (1 + tanh(√(2/π) (x + 0.044715 x³)))

    Parameters
    ----------
    approximate
        "none" or "tanh", as in PyTorch.

    Source
    ------
    Hendrycks and Gimpel 2016.
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = choice("approximate", approximate, ("none", "tanh"))

    def __repr__(self) -> str:
        return "GELU()" if self.approximate == "none" else f"GELU({self.approximate!r})"

    def value(self, x: Array) -> Array:
        return x * self._gate(x)[0]

    def slope(self, x: Array) -> Array:
        gate, first, _ = self._gate(x)
        return gate + np.clip(x, -_FAR, _FAR) * first

    def bend(self, x: Array) -> Array:
        _, first, second = self._gate(x)
        return 2 * first + np.clip(x, -_FAR, _FAR) * second

    def _gate(self, x: Array) -> tuple[Array, Array, Array]:
        """The factor of x, and that factor's first and second derivative."""
        z = np.clip(x, -_FAR, _FAR)
        if self.approximate == "none":
            density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
            return ndtr(z), density, -z * density
        root = math.sqrt(2 / math.pi)
        inner, first, second = root * (z + 0.044715 * z**3), root * (1 + 0.134145 * z**2), root * 0.26829 * z
        tanh = np.tanh(inner)
        sech2 = 1 - tanh * tanh
        return (1 + tanh) / 2, sech2 * first / 2, sech2 * (second / 2 - tanh * first**2)


class SiLU(Elementwise):
    """x σ(x), σ(x) = 1/(1 + e^−x)."""

    def value(self, x: Array) -> Array:
        return np.asarray(x * expit(x))

    def slope(self, x: Array) -> Array:
        gate = expit(x)
        return np.asarray(gate * (1 + x * (1 - gate)))

    def bend(self, x: Array) -> Array:
        gate = expit(x)
        return np.asarray(gate * (1 - gate) * (2 + x * (1 - 2 * gate)))


class Sigmoid(Elementwise):
    """σ(x) = 1/(1 + e^−x)."""

    def value(self, x: Array) -> Array:
        return np.asarray(expit(x))

    def slope(self, x: Array) -> Array:
        y = expit(x)
        return np.asarray(y * (1 - y))

    def bend(self, x: Array) -> Array:
        y = expit(x)
        return np.asarray(y * (1 - y) * (1 - 2 * y))


class Tanh(Elementwise):
    """tanh(x)."""

    def value(self, x: Array) -> Array:
        return np.tanh(x)

    def slope(self, x: Array) -> Array:
        return 1 - np.tanh(x) ** 2

    def bend(self, x: Array) -> Array:
        y = np.tanh(x)
        return np.asarray(2 * y * (y * y - 1))
