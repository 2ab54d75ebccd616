"""Why weights cluster: closed forms of chapter E of the ledger.

Gradient noise of variance v on a flat loss moves a weight with s(w) in proportion; where s is small
the weight lingers. All densities are over the signed offset w − w̄ in one cell, |offset| ≤ h = Δ/2.
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, finite_number, in_range, real_array, real_number, representable
from psgd_ref.core.discretization import second_order_coefficient


def stationary_exponent(discretisation: str) -> float:
    """The q in the stationary density ∝ s^(−q): 2 − 2c.

    Parameters
    ----------
    discretisation
        "psgd" (q = 2), "warp" (3/2) or "mirror" (1); c of `second_order_coefficient`.

    Source
    ------
    Claim E1.
    """
    return 2 - 2 * second_order_coefficient(discretisation)


def stationary_density(offset: npt.ArrayLike, half: float, eps: float, discretisation: str = "psgd") -> Array:
    """Density of w − w̄ under gradient noise on a flat loss, normalised over the cell [−h, h].

    p ∝ (|w − w̄| + ε)^(−q), q of `stationary_exponent`

    Parameters
    ----------
    offset
        w − w̄, any shape; beyond h the density is 0.
    half, eps
        h > 0 and ε > 0; at ε = 0 PSGD's and the warped density have infinite mass at the target.
    discretisation
        As for `stationary_exponent`.

    Returns
    -------
    Shape of offset, in units of 1/weight.

    Source
    ------
    Claim E1; assumes independent noise of mean 0 whose variance v is constant in the cell, identical cells
    (or reflecting walls) and the limit ηλ√v → 0.

    Examples
    --------
    >>> stationary_density([0.0, 0.5], half=0.5, eps=0.5)
    array([2. , 0.5])
    """
    d = np.abs(real_array("offset", offset))
    half, eps = real_number("half", half, positive=True), real_number("eps", eps, positive=True)
    q = stationary_exponent(discretisation)
    with np.errstate(all="ignore"):
        density = np.where(d <= half, (d + eps) ** -q / (2 * _power_integral(half, eps, q)), 0.0)
    return representable(f"eps = {eps!r}", np.asarray(density, d.dtype))


def stationary_cdf(offset: npt.ArrayLike, half: float, eps: float, discretisation: str = "psgd") -> Array:
    """Distribution function of `stationary_density`: 0 at −h, 1/2 at the target, 1 at h.

    Parameters
    ----------
    offset, half, eps, discretisation
        As for `stationary_density`.

    Returns
    -------
    Shape of offset.

    Source
    ------
    Claim E1.
    """
    x = real_array("offset", offset)
    half, eps = real_number("half", half, positive=True), real_number("eps", eps, positive=True)
    q = stationary_exponent(discretisation)
    with np.errstate(all="ignore"):
        share = _power_integral(np.minimum(np.abs(x), half), eps, q) / _power_integral(half, eps, q)
        value = np.asarray(np.clip(0.5 + 0.5 * np.sign(x) * share, 0, 1), x.dtype)
    return representable(f"eps = {eps!r}", value)


@in_range
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

    Parameters
    ----------
    offset
        w − w̄, any shape.
    eps, strength
        ε > 0 and λ > 0.
    slope
        a, the gradient of the loss.
    lr, variance
        η > 0 and v > 0 of the noise.
    discretisation
        As for `stationary_exponent`.

    Returns
    -------
    Shape of offset.

    Source
    ------
    Claim E1; as for `stationary_density`, with a = O(ηλv) as ηλ√v → 0 and no flow of probability through
    the walls. A slope of the order of √v instead leaves an error in the exponent that does not vanish.
    """
    offset = real_array("offset", offset)
    eps, strength = real_number("eps", eps, positive=True), real_number("strength", strength, positive=True)
    noise = real_number("lr", lr, positive=True) * real_number("variance", variance, positive=True)
    d = np.abs(offset)
    tilt = 2 * finite_number("slope", slope) / (noise * strength) * np.sign(offset) * np.log1p(d / eps)
    return np.asarray(-stationary_exponent(discretisation) * np.log(strength * (d + eps)) - tilt)


@in_range
def log_distance_drift(lr: float, strength: float, variance: float, discretisation: str = "psgd") -> float:
    """Mean change of ln d in one step from gradient noise alone, to second order in ηλ√v.

    −η²λ²v/2 (psgd), −η²λ²v/4 (warp), 0 (mirror), that is −(½ − c)η²λ²v

    Parameters
    ----------
    lr, strength, variance
        η, λ and v, all ≥ 0.
    discretisation
        As for `stationary_exponent`.

    Source
    ------
    Claim E2; assumes ε = 0, a flat loss and steps inside the half cell. The error is O((ηλ√v)⁴) for
    symmetric noise ξ, O((ηλ√v)³) for skewed. The exact drift of PSGD, E ln|1 − ηλξ|, turns positive at
    ηλ√v = √2 for noise of two values ±√v: larger noise drives weights off targets.

    Examples
    --------
    >>> log_distance_drift(lr=0.1, strength=2.0, variance=1.0)
    -0.020000000000000004
    """
    size = (real_number("lr", lr) * real_number("strength", strength)) ** 2 * real_number(
        "variance", variance
    )
    return -(0.5 - second_order_coefficient(discretisation)) * size


@in_range
def expected_squared_error(half: float, eps: float) -> float:
    """Mean of d² under the stationary density of PSGD: the expected squared quantization error.

    E d² = (h − 2ε ln((h+ε)/ε) + ε²c)/c,   c = 1/ε − 1/(h+ε)

    Parameters
    ----------
    half, eps
        h > 0 and ε > 0.

    Returns
    -------
    Squared unit of the weights; at most h²/3 = Δ²/12, that of a weight spread evenly.

    Source
    ------
    Claim E3; assumptions as for `stationary_density`.

    Examples
    --------
    >>> round(expected_squared_error(half=0.5, eps=0.05), 4)
    0.0168
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

    Parameters
    ----------
    c
        Any shape.
    threshold
        ≥ 0, in the unit of c.

    Returns
    -------
    Shape and dtype of c.

    Source
    ------
    Claim E4: with T = {0}, ε = 0 and unscaled weight decay κ, PSGD on ½h(w − c)² rests there, with
    threshold κ/(λh), if it starts on c's side of 0; from the other side it rests at 0.

    Examples
    --------
    >>> soft_threshold([3.0, -0.5], 1.0)
    array([ 2., -0.])
    """
    c = real_array("c", c)
    return np.asarray(np.copysign(np.maximum(np.abs(c) - real_number("threshold", threshold), 0), c))


@in_range
def decay_equilibrium(
    target: float, gradient: float, strength: float, weight_decay: float, eps: float = 0.0
) -> float:
    """How far on the zero side of a nonzero target unscaled weight decay holds a weight.

    λ(d + ε)|g| = κ|w|, |w| = |w̄| − d, so d = (κ|w̄| − λε|g|)/(λ|g| + κ); at ε = 0 it is d = κ|w|/(λ|g|)

    Parameters
    ----------
    target, gradient
        w̄, and g with the other sign: it pushes away from zero. g is taken as constant over d.
    strength, weight_decay, eps
        λ > 0, κ ≥ 0 and ε ≥ 0.

    Returns
    -------
    d ≥ 0, in the unit of the weights. It is where a weight of that cell rests if d ≤ Δ/2; otherwise
    decay carries the weight over the wall towards zero.

    Raises
    ------
    ValueError
        For a gradient that does not push away from zero, and where it outweighs the decay on the target
        itself, λε|g| > κ|w̄|: there the weight leaves its target outwards.

    Source
    ------
    Claim E4; assumes η(λ|g| + κ) < 2.

    Examples
    --------
    >>> decay_equilibrium(1.0, gradient=-0.5, strength=2.0, weight_decay=0.25)
    0.2
    """
    target, gradient = finite_number("target", target), finite_number("gradient", gradient)
    decay, eps = real_number("weight_decay", weight_decay), real_number("eps", eps)
    if target * gradient > 0 or gradient == 0:
        raise ValueError(
            f"gradient must push away from zero (the other sign than target); got {gradient!r} at {target!r}"
        )
    push = real_number("strength", strength, positive=True) * abs(gradient)
    if eps * push > decay * abs(target):
        raise ValueError(
            f"no balance on the zero side: λε|g| = {eps * push:.6g} outweighs κ|w̄| = "
            f"{decay * abs(target):.6g}, and the weight leaves its target outwards"
        )
    return (decay * abs(target) - push * eps) / (push + decay)


def _power_integral(end: npt.ArrayLike, eps: float, q: float) -> Array:
    """∫₀^end (x + ε)^(−q) dx."""
    ratio = np.log1p(np.asarray(end) / eps)
    if q == 1:
        return np.asarray(ratio)
    return np.asarray(np.expm1((1 - q) * ratio) * np.float64(eps) ** (1 - q) / (1 - q))
