"""Images as rows."""

import math

from psgd_ref.core.arguments import Array
from psgd_ref.kernels.shapes import floats, shaped
from psgd_ref.nn.layer import Cache, Layer, Shape
from psgd_ref.nn.linearised import Linearised, LinearMap


class Flatten(Layer):
    """(N, …) → (N, product of the rest); an image's numbers in the order H, W, C."""

    def output_shape(self, shape: Shape | None) -> Shape | None:
        lengths = [length for length in shape or (None,) if length is not None]
        return (math.prod(lengths) if shape is not None and len(lengths) == len(shape) else None,)

    def linearised(self, training: bool) -> Linearised:
        return LinearMap(self)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        if floats("x", x).ndim == 0:
            raise ValueError("x must have an axis that counts images; got one number")
        return x.reshape(len(x), math.prod(x.shape[1:])), x.shape if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        shaped("dy", dy, (cache[0], math.prod(cache[1:])))
        return dy.reshape(cache)
