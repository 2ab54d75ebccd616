"""Layers linearised at one point: how they pass values, gradients, and small changes of both.

With y = y(x, p) and a small change (x′, p′) of input and parameters, the change of the output and of the
gradients that `backward` returns follow from the product rule. These are the R-operator's rules
(Pearlmutter 1994); each kind of layer defines its own, in `Layer.linearised`.
"""

from psgd_ref.core.arguments import Array
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.parameters import Parameter

# The slice of a flat vector that belongs to each parameter.
Views = dict[Parameter, Array]


class Linearised:
    """One layer at one point.

    `forward`, then `backward`, each once; then `forward_change` and `backward_change`, in this order, for any
    number of changes. `backward` writes the parameters' gradients into `gradient`, and `backward_change` the
    change of those gradients into `out`. No layer's state is touched.
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
        """The change of ∂L/∂x when ∂L/∂y changes by ddy, and x and the parameters as in `forward_change`."""
        raise NotImplementedError


class LinearMap(Linearised):
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
