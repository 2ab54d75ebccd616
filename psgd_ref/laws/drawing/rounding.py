"""How much floating-point rounding a law must allow: derived from the arithmetic, never tuned."""

import numpy as np

from psgd_ref.core import FiniteTargets, Warp
from psgd_ref.core.arguments import Array

UNIT = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)
# What is lost of a weight that stays where it is: nothing, or a subnormal weight where those are set to zero,
# as XLA does.
FLUSHED = TINY


def in_weights(warp: Warp, w: Array) -> Array:
    """Error of a trip w → y → w: that of w itself, and that of y times dw/dy = √s, to second order.

    Sixteen roundings are allowed for; y carries those of the largest image on the way to it.
    """
    u = 16 * UNIT
    error = u * in_image(warp, w)
    weights = u * (np.abs(w) + np.abs(w - warp.targets.nearest(w)))
    return np.asarray(weights + np.sqrt(warp.scale(w)) * error + warp.strength / 4 * error**2 + TINY)


def in_image(warp: Warp, w: Array) -> Array:
    """The size of the numbers that f adds up to reach y: |y|, and all images of an uneven set."""
    size = np.abs(warp(w))
    if isinstance(warp.targets, FiniteTargets):
        size = size + float(np.ptp(warp(warp.targets.values)))
    return np.asarray(size)


def in_step(warp: Warp, w: Array, g: Array, lr: float) -> Array:
    """Error of w − ηsg: that of w, and that of d = w − w̄ (an error of w's size) passed through s."""
    t = lr * warp.strength * np.abs(g)
    d = np.abs(w - warp.targets.nearest(w))
    return np.asarray(16 * UNIT * ((1 + t) ** 2 * (np.abs(w) + d + warp.eps)) + TINY)
