"""Scales that come from a change of variables w = φ(θ): s = Σ (∂w/∂θ)². Chapter G of the ledger."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, double, in_range, real_array, real_number, representable


def general_scale(jacobian: npt.ArrayLike) -> Array:
    """The matrix that takes the place of s for any diffeomorphism F: (JᵀJ)⁻¹, J = ∂y/∂w.

    Parameters
    ----------
    jacobian
        J at one point, shape (n, n), invertible. (A smooth bijection may have a singular one, as w³ at
        0: it is no diffeomorphism.)

    Returns
    -------
    Shape (n, n); diagonal, with s on it, when F acts coordinate by coordinate.

    Raises
    ------
    ValueError
        For a matrix that is not square or not invertible.

    Source
    ------
    The paper, Eq. (1); claim A2.

    Examples
    --------
    >>> general_scale([[2.0, 0.0], [0.0, 0.5]])
    array([[0.25, 0.  ],
           [0.  , 4.  ]])
    """
    j = real_array("jacobian", jacobian)
    if j.ndim != 2 or j.shape[0] != j.shape[1]:
        raise ValueError(f"jacobian must be square, (n, n); got shape {j.shape}")
    try:
        back = np.linalg.inv(double(j))
    except np.linalg.LinAlgError:
        raise ValueError("jacobian must be invertible; got a singular matrix") from None
    return np.asarray(back @ back.T)


def powerpropagation_scale(w: npt.ArrayLike, alpha: float) -> Array:
    """The scale of w = θ|θ|^(α−1): s = α²|w|^(2−2/α), which is 4|w| at α = 2.

    Parameters
    ----------
    w
        Weights, any shape.
    alpha
        α ≥ 1.

    Raises
    ------
    ValueError
        For α < 1, where the scale is infinite at 0, and for one so large that it overflows.

    Source
    ------
    Claim G1.
    """
    if real_number("alpha", alpha) < 1:
        raise ValueError(f"alpha must be a finite number >= 1; got {alpha!r}")
    w = real_array("w", w)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = alpha * alpha * np.abs(w) ** (2 - 2 / alpha)
    return representable(f"alpha = {alpha!r}", np.asarray(scale))


@in_range
def powerpropagation_alpha(power: float) -> float:
    """The α whose scale is proportional to |w|^p: α = 2/(2−p).

    Parameters
    ----------
    power
        p, 0 ≤ p < 2.

    Raises
    ------
    ValueError
        For p ≥ 2, where there is no such α.

    Source
    ------
    Claim G1.

    Examples
    --------
    >>> powerpropagation_alpha(1.0)
    2.0
    """
    power = real_number("power", power)
    if power >= 2:
        raise ValueError(f"power must be a number in [0, 2); got {power!r}")
    return 2 / (2 - power)


def difference_of_squares_scale(w: npt.ArrayLike, product: npt.ArrayLike) -> Array:
    """The scale of w = u² − v²: s = 4√(w² + 4(uv)²). The flow conserves the product uv, which acts as ε does.

    Parameters
    ----------
    w, product
        Weights and uv, shapes that broadcast.

    Source
    ------
    Claim G2.
    """
    w, product = real_array("w", w), real_array("product", product)
    try:
        np.broadcast_shapes(w.shape, product.shape)
    except ValueError:
        raise ValueError(f"product must broadcast with w, {w.shape}; got shape {product.shape}") from None
    return np.asarray(4 * np.hypot(w, 2 * product))
