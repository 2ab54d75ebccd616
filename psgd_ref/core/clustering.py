"""Why weights cluster: closed forms of chapter E of the ledger.

Gradient noise of variance v on a flat loss moves a weight with s(w) in proportion; where s is small
the weight lingers. All densities are over the signed offset w − w̄ in one cell, |offset| ≤ h = Δ/2.
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, finite_number, in_range, real_array, real_number, representable
from psgd_ref.core.bounds import second_order_coefficient


def stationary_exponent(discretisation: str) -> float:
    """The q in the stationary density ∝ s^(−q): 2 (psgd), 3/2 (warp), 1 (mirror), that is 2 − 2c.

    c: `second_order_coefficient`. Source: claim E1.
    """
    return 2 - 2 * second_order_coefficient(discretisation)


def stationary_density(offset: npt.ArrayLike, half: float, eps: float, discretisation: str = "psgd") -> Array:
    """Density of w − w̄ under gradient noise on a flat loss, normalised over the cell [−h, h].

    p ∝ (|w − w̄| + ε)^(−q), q of `stationary_exponent`

    Assumes η → 0, ε > 0, cells alike (or walls that reflect). offset: any shape, |offset| ≤ half; zero
    density beyond. Shape and dtype of offset. Raises ValueError for an ε so small that the density at the
    target overflows. Source: claim E1.
    """
    d = np.abs(real_array("offset", offset))
    half, eps = real_number("half", half, positive=True), real_number("eps", eps, positive=True)
    q = stationary_exponent(discretisation)
    with np.errstate(all="ignore"):
        density = np.where(d <= half, (d + eps) ** -q / (2 * _power_integral(half, eps, q)), 0.0)
    return representable(f"eps = {eps!r}", np.asarray(density, d.dtype))


def stationary_cdf(offset: npt.ArrayLike, half: float, eps: float, discretisation: str = "psgd") -> Array:
    """Distribution function of `stationary_density`: 0 at −h, 1/2 at the target, 1 at h.

    Arguments, dtype and errors as there. Source: claim E1.
    """
    x = real_array("offset", offset)
    half, eps = real_number("half", half, positive=True), real_number("eps", eps, positive=True)
    q = stationary_exponent(discretisation)
    with np.errstate(all="ignore"):
        share = _power_integral(np.minimum(np.abs(x), half), eps, q) / _power_integral(half, eps, q)
        value = np.asarray(np.clip(0.5 + 0.5 * np.sign(x) * share, 0, 1), x.dtype)
    return representable(f"eps = {eps!r}", value)


def stationary_log_density(
    offset: npt.ArrayLike,
    eps: float,
    strength: float,
    slope: float,
    lr: float,
    variance: float,
    discretisation: str = "psgd",
) -> Array:
    """Logarithm of the unnormalised density when the loss has a constant slope a inside the cell.

    ln p = −q ln s − (2/ηv) ∫ a/s dw = −q ln s − (2aσ/(ηvλ)) ln((d+ε)/ε)

    Assumes η → 0 with a/√v fixed or smaller, ε > 0, and no flow of probability through the walls.
    slope: a, gradient of the loss; variance: v > 0; offset: any shape. Source: claim E1.
    """
    offset = real_array("offset", offset)
    eps, strength = real_number("eps", eps, positive=True), real_number("strength", strength, positive=True)
    noise = real_number("lr", lr, positive=True) * real_number("variance", variance, positive=True)
    d = np.abs(offset)
    tilt = 2 * finite_number("slope", slope) / (noise * strength) * np.sign(offset) * np.log1p(d / eps)
    return np.asarray(-stationary_exponent(discretisation) * np.log(strength * (d + eps)) - tilt)


@in_range
def log_distance_drift(lr: float, strength: float, variance: float, discretisation: str = "psgd") -> float:
    """Mean change of ln d in one step from gradient noise alone, to second order in η.

    −η²λ²v/2 (psgd), −η²λ²v/4 (warp), 0 (mirror), that is −(½ − c)η²λ²v

    Assumes ε = 0, a flat loss, ηλ√v small. Source: claim E2.
    """
    size = (real_number("lr", lr) * real_number("strength", strength)) ** 2 * real_number(
        "variance", variance
    )
    return -(0.5 - second_order_coefficient(discretisation)) * size


@in_range
def expected_squared_error(half: float, eps: float) -> float:
    """Mean of d² under the stationary density of PSGD: the expected squared quantization error.

    E d² = (h − 2ε ln((h+ε)/ε) + ε²c)/c,   c = 1/ε − 1/(h+ε)

    against h²/3 = Δ²/12 for a weight spread evenly. half: h > 0; eps: ε > 0. Source: claim E3.
    """
    half, eps = real_number("half", half, positive=True), real_number("eps", eps, positive=True)
    r = half / eps
    if r < 0.01:
        # The three terms cancel to order r³ here; their series, Σ (−1)^k (k+1) r^(k+3)/(k+3), does not.
        k = np.arange(8)
        numerator = float(np.sum((-1.0) ** k * (k + 1) * r ** (k + 3) / (k + 3)))
    else:
        numerator = r - 2 * float(np.log1p(r)) + r / (1 + r)
    return eps**2 * numerator * (1 + r) / r


def soft_threshold(c: npt.ArrayLike, threshold: float) -> Array:
    """sign(c) max(|c| − threshold, 0): the minimiser of ½(w − c)² + threshold·|w|.

    With T = {0}, ε = 0 and unscaled weight decay κ, PSGD on ½h(w − c)² rests there, threshold = κ/(λh):
    weight decay outside the scaling is LASSO. Assumes w starts on c's side of 0. Source: claim E4.
    """
    c = real_array("c", c)
    return np.asarray(np.copysign(np.maximum(np.abs(c) - real_number("threshold", threshold), 0), c))


@in_range
def decay_equilibrium(
    target: float, gradient: float, strength: float, weight_decay: float, eps: float = 0.0
) -> float:
    """How far on the zero side of a nonzero target unscaled weight decay holds a weight.

    λ(d + ε)|g| = κ|w|, |w| = |w̄| − d, so d = (κ|w̄| − λε|g|)/(λ|g| + κ), or 0 where that is negative;
    at ε = 0 it is d = κ|w|/(λ|g|).

    Assumes a gradient that pushes away from zero (sign g = −sign w̄) and is constant over d, and d within
    the half cell. Source: claim E4.
    """
    push = real_number("strength", strength, positive=True) * abs(finite_number("gradient", gradient))
    weight_decay = real_number("weight_decay", weight_decay)
    if push + weight_decay == 0:
        raise ValueError("gradient and decay must not both be 0: nothing moves the weight")
    distance = weight_decay * abs(finite_number("target", target)) - push * real_number("eps", eps)
    return max(0.0, distance / (push + weight_decay))


def _power_integral(end: npt.ArrayLike, eps: float, q: float) -> Array:
    """∫₀^end (x + ε)^(−q) dx."""
    ratio = np.log1p(np.asarray(end) / eps)
    if q == 1:
        return np.asarray(ratio)
    return np.asarray(np.expm1((1 - q) * ratio) * np.float64(eps) ** (1 - q) / (1 - q))
