"""Layers held at one point: how they pass values, gradients, and small changes of both.

With y = y(x, p) and a small change (x′, p′) of input and parameters, the change of the output and of the
gradients that `backward` returns follow from the product rule. These are the R-operator's rules
(Pearlmutter 1994), one class for each kind of layer.
"""

import numpy as np

from psgd_ref import kernels
from psgd_ref.core.arguments import Array
from psgd_ref.nn.activation import Flatten, ReLU
from psgd_ref.nn.containers import Residual, Sequential
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.norm import BatchNorm
from psgd_ref.nn.parameters import Parameter
from psgd_ref.nn.pool import AvgPool2d, GlobalAvgPool, MaxPool2d
from psgd_ref.nn.weighted import Weighted

# The part of a flat vector that belongs to each parameter.
Views = dict[Parameter, Array]


class Linearised:
    """One layer at one point.

    `forward`, then `backward`, each once; then `forward_change` and `backward_change`, in this order, for
    as many changes as one likes. `backward` writes the parameters' gradients into `gradient`, and
    `backward_change` the change of those gradients into `out`. No layer's state is touched.
    """

    def forward(self, x: Array) -> Array:
        """y."""
        raise NotImplementedError

    def backward(self, dy: Array, gradient: Views) -> Array:
        """∂L/∂x from dy = ∂L/∂y."""
        raise NotImplementedError

    def forward_change(self, dx: Array, change: Views) -> Array:
        """The change of y when x changes by dx and the parameters by `change`."""
        raise NotImplementedError

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        """The change of ∂L/∂x when ∂L/∂y changes by ddy, and x and the parameters as just before."""
        raise NotImplementedError


def linearise(layer: Layer, training: bool) -> Linearised:
    """The layer, held at its present parameters.

    Parameters
    ----------
    layer
        Its state is not touched.
    training
        Whether batch norms take the batch's statistics.

    Raises
    ------
    ValueError
        For a layer whose rules are not known here, and for one that holds a quantizer.
    """
    match layer:
        case Sequential():
            return _Sequential(layer, training)
        case Residual():
            return _Residual(layer, training)
        case Weighted() if not layer.children():
            return _Weighted(layer)
        case BatchNorm():
            return _BatchNorm(layer, training)
        case ReLU():
            return _ReLU(layer)
        case MaxPool2d():
            return _MaxPool(layer)
        case Flatten() | AvgPool2d() | GlobalAvgPool():
            return _LinearMap(layer)
    held = " that holds a quantizer" if isinstance(layer, Weighted) else ""
    raise ValueError(
        f"exact Hessian-vector products know no rule for a layer {type(layer).__name__}{held}; "
        "use method='differences'"
    )


class _Sequential(Linearised):
    def __init__(self, layer: Sequential, training: bool) -> None:
        self.layers = [linearise(each, training) for each in layer.layers.values()]

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array, gradient: Views) -> Array:
        for layer in reversed(self.layers):
            dy = layer.backward(dy, gradient)
        return dy

    def forward_change(self, dx: Array, change: Views) -> Array:
        for layer in self.layers:
            dx = layer.forward_change(dx, change)
        return dx

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        for layer in reversed(self.layers):
            ddy = layer.backward_change(ddy, change, out)
        return ddy


class _Weighted(Linearised):
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


class _LinearMap(Linearised):
    """A layer without parameters that is linear: it does to changes what it does to values."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.cache: Cache = None

    def forward(self, x: Array) -> Array:
        y, self.cache = self.layer.forward(x, training=True)
        return y

    def backward(self, dy: Array, gradient: Views) -> Array:
        dx = self.layer.backward(dy, self.cache)
        assert dx is not None
        return dx

    def forward_change(self, dx: Array, change: Views) -> Array:
        return self.layer.forward(dx, training=False)[0]

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        return self.backward(ddy, out)


class _ReLU(_LinearMap):
    """Linear away from its kinks: what is below zero stays cut off."""

    def forward_change(self, dx: Array, change: Views) -> Array:
        return kernels.relu_backward(dx, self.cache)


class _MaxPool(_LinearMap):
    """Linear away from ties: each window goes on showing its winner."""

    layer: MaxPool2d

    def forward_change(self, dx: Array, change: Views) -> Array:
        winner, _ = self.cache
        (_, width), (down, right), (top, left) = self.layer.window
        images, rows, columns, channels = np.indices(winner.shape, sparse=True)
        rows, columns = rows * down - top + winner // width, columns * right - left + winner % width
        return np.asarray(dx[images, rows, columns, channels])


class _BatchNorm(Linearised):
    """z = γ x̂ + β [+ residual], x̂ = r (x − m), r = (v + eps)^(−½), then y = max(z, 0) with `relu`.

    With the batch's statistics, where ⟨·⟩ is the mean over all axes but the last and a = ⟨x̂ x′⟩:

    x̂′ = r (x′ − ⟨x′⟩ − a x̂),   r′ = −r² a,   ∂L/∂x = γ r c,   c = dz − ⟨dz⟩ − x̂ ⟨dz x̂⟩

    With the running ones m and r are constants: x̂′ = r x′, r′ = 0, c = dz.
    """

    def __init__(self, layer: BatchNorm, training: bool) -> None:
        self.layer, self.training = layer, training

    def forward(self, x: Array, residual: Array | None = None) -> Array:
        layer, self.count = self.layer, x.size // x.shape[-1]
        if self.training:
            # In two passes, as the kernels do: the mean of squares less the squared mean loses digits.
            centred: Array = x - self._mean(x)
            var = self._mean(centred * centred)
        else:
            centred = x - layer.running_mean.astype(x.dtype)
            var = np.asarray(layer.running_var, x.dtype)
        self.r = 1 / np.sqrt(var + x.dtype.type(layer.eps))
        self.x_hat = centred * self.r
        z = layer.weight.value * self.x_hat + layer.bias.value
        if residual is not None:
            z = z + residual
        self.passed = z > 0 if layer.relu else None
        return np.asarray(z if self.passed is None else z * self.passed)

    def backward(self, dy: Array, gradient: Views) -> Array:
        return self.backward_sum(dy, gradient)[0]

    def backward_sum(self, dy: Array, gradient: Views) -> tuple[Array, Array]:
        """∂L/∂x and ∂L/∂residual."""
        layer, self.dz = self.layer, self._cut(dy)
        gradient[layer.weight][...] = kernels.channel_sum(self.dz * self.x_hat)
        gradient[layer.bias][...] = kernels.channel_sum(self.dz)
        self.slope = gradient[layer.weight] / self.count
        self.c = self.dz
        if self.training:
            self.c = self.dz - gradient[layer.bias] / self.count - self.x_hat * self.slope
        return layer.weight.value * self.r * self.c, self.dz

    def forward_change(self, dx: Array, change: Views, residual: Array | None = None) -> Array:
        layer = self.layer
        if self.training:
            a = self._mean(self.x_hat * dx)
            self.dx_hat = self.r * (dx - self._mean(dx) - a * self.x_hat)
            self.dr = -self.r * self.r * a
        else:
            self.dx_hat, self.dr = self.r * dx, np.zeros_like(self.r)
        dz = change[layer.weight] * self.x_hat + layer.weight.value * self.dx_hat + change[layer.bias]
        return self._cut(dz if residual is None else dz + residual)

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        return self.backward_sum_change(ddy, change, out)[0]

    def backward_sum_change(self, ddy: Array, change: Views, out: Views) -> tuple[Array, Array]:
        """The changes of ∂L/∂x and ∂L/∂residual."""
        layer, ddz = self.layer, self._cut(ddy)
        out[layer.weight][...] = kernels.channel_sum(ddz * self.x_hat + self.dz * self.dx_hat)
        out[layer.bias][...] = kernels.channel_sum(ddz)
        dc = ddz
        if self.training:
            dc = ddz - out[layer.bias] / self.count
            dc = dc - self.dx_hat * self.slope - self.x_hat * (out[layer.weight] / self.count)
        gamma = layer.weight.value
        factor = change[layer.weight] * self.r + gamma * self.dr
        return np.asarray(factor * self.c + gamma * self.r * dc), ddz

    def _mean(self, x: Array) -> Array:
        return np.asarray(kernels.channel_sum(x) / x.dtype.type(self.count))

    def _cut(self, x: Array) -> Array:
        return x if self.passed is None else np.asarray(x * self.passed)


class _Residual(Linearised):
    """y = norm(body(x)) with the shortcut's output added inside the norm."""

    def __init__(self, layer: Residual, training: bool) -> None:
        self.body, self.norm = linearise(layer.body, training), _BatchNorm(layer.norm, training)
        self.shortcut = linearise(layer.shortcut or Sequential({}), training)

    def forward(self, x: Array) -> Array:
        return self.norm.forward(self.body.forward(x), self.shortcut.forward(x))

    def backward(self, dy: Array, gradient: Views) -> Array:
        main, side = self.norm.backward_sum(dy, gradient)
        return self.body.backward(main, gradient) + self.shortcut.backward(side, gradient)

    def forward_change(self, dx: Array, change: Views) -> Array:
        main, side = self.body.forward_change(dx, change), self.shortcut.forward_change(dx, change)
        return self.norm.forward_change(main, change, side)

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        main, side = self.norm.backward_sum_change(ddy, change, out)
        return self.body.backward_change(main, change, out) + self.shortcut.backward_change(side, change, out)
