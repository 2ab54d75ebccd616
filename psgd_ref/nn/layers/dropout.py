"""Dropout, from a counter-based random generator."""

import numpy as np

from psgd_ref.core.arguments import Array, below_one, whole_number
from psgd_ref.kernels.shapes import floats, shaped
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.linearised import Linearised, Views


class Dropout(Layer):
    """In training every number is 0 with probability p, and else x/(1 − p); in evaluation it is x.

    Which numbers are dropped follows from `seed`, `draws` and the shape of x alone: the same on any number of
    threads, and the same whether or not the model was saved and loaded in between (files hold `draws`).

    Parameters
    ----------
    p
        In [0, 1).
    seed
        0 … 2^64 − 1. By default the model that the layer becomes part of draws one from its own seed, so that
        no two layers drop the same positions.

    Attributes
    ----------
    draws
        Training passes so far: the next one takes the random numbers of this count.

    Source
    ------
    Srivastava et al. 2014. The generator is Philox (Salmon et al. 2011), a function of key and counter.
    """

    def __init__(self, p: float = 0.5, seed: int | None = None) -> None:
        self.p = below_one("p", p)
        self.seed = None if seed is None else whole_number("seed", seed, 0, 2**64 - 1)
        self.draws = 0

    def __repr__(self) -> str:
        return f"Dropout({self.p:g})"

    def seed_from(self, rng: np.random.Generator) -> None:
        if self.seed is None:
            self.seed = int(rng.integers(2**63))

    def factor(self, x: Array) -> Array:
        """What the next training pass multiplies x by: 0 or 1/(1 − p)."""
        key, counter = self.seed or 0, (0, 0, self.draws, 0)
        uniform = np.random.Generator(np.random.Philox(key=key, counter=counter)).random(x.shape, np.float32)
        return ((uniform >= self.p) / (1 - self.p)).astype(x.dtype)

    def linearised(self, training: bool) -> Linearised:
        return _LinearisedDropout(self, training)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        floats("x", x)
        if not training:
            return x, None
        factor = self.factor(x)
        self.draws += 1
        return x * factor, factor

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        shaped("dy", dy, cache.shape)
        return np.asarray(dy * cache)


class _LinearisedDropout(Linearised):
    """Linear: it takes the random numbers of the next training pass, without using them up."""

    def __init__(self, layer: Dropout, training: bool) -> None:
        self.layer, self.training = layer, training

    def forward(self, x: Array) -> Array:
        self.factor: Array | float = self.layer.factor(x) if self.training else 1.0
        return x * self.factor

    def backward(self, dy: Array, gradient: Views) -> Array:
        return dy * self.factor

    def forward_change(self, dx: Array, change: Views) -> Array:
        return dx * self.factor

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        return ddy * self.factor
