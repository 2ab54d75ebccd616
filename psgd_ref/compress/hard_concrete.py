"""Hard-concrete gates: random numbers in [0, 1] that are exactly 0 or 1 with positive probability.

z = min(max(s (ζ − γ) + γ, 0), 1),   s = σ((ln u − ln(1 − u) + φ)/β),   u uniform on (0, 1)

φ is learned; β = 2/3, γ = −0.1 and ζ = 1.1 are fixed. Source: Louizos, Welling, Kingma 2018.
"""

import numpy as np
import scipy

from psgd_ref.core.arguments import Array

TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1
# P(z > 0) = σ(φ + SHIFT), because z > 0 iff ln u − ln(1 − u) > β ln(−γ/ζ) − φ.
SHIFT = -TEMPERATURE * np.log(-LOW / HIGH)
# The smallest u, so that its logit stays finite.
SMALLEST = 1e-6


def gate(phi: Array, u: Array) -> tuple[Array, Array]:
    """z and ∂z/∂φ.

    Parameters
    ----------
    phi
        Logits φ, any shape.
    u
        Uniform numbers in [0, 1].

    Returns
    -------
    Both in the dtype of φ; the derivative is 0 where z is 0 or 1.
    """
    s = scipy.special.expit((scipy.special.logit(np.clip(u, SMALLEST, 1 - SMALLEST)) + phi) / TEMPERATURE)
    stretched = s * (HIGH - LOW) + LOW
    slope = np.where((stretched > 0) & (stretched < 1), s * (1 - s) * (HIGH - LOW) / TEMPERATURE, 0)
    return np.clip(stretched, 0, 1).astype(phi.dtype), slope.astype(phi.dtype)


def probability_on(phi: Array) -> tuple[Array, Array]:
    """P(z > 0) = σ(φ − β ln(−γ/ζ)) and its derivative with respect to φ; any shape."""
    on = scipy.special.expit(phi + SHIFT)
    return np.asarray(on), np.asarray(on * (1 - on))


def median(phi: Array) -> Array:
    """z without noise: min(max(σ(φ)(ζ − γ) + γ, 0), 1), the gate of Louizos et al. in evaluation."""
    return np.asarray(np.clip(scipy.special.expit(phi) * (HIGH - LOW) + LOW, 0, 1))


def uniform(seed: int, count: int, shape: tuple[int, ...]) -> Array:
    """Uniform numbers in [0, 1) that depend on seed and count alone (Philox).

    A layer that keeps the count of its draws in `buffers()` draws the same after a resumed run.
    """
    return np.random.Generator(np.random.Philox(key=[seed, count])).random(shape)
