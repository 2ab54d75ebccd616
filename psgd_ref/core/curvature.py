"""Curvature seen from the weights and from the warped space: closed forms of chapter F of the ledger."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, double, in_range, real_array, real_number, same_shape
from psgd_ref.core.discretization import scale_slope
from psgd_ref.core.warp import Warp, check_warp


def inverse_curvature(w: npt.ArrayLike, warp: Warp) -> Array:
    """(f⁻¹)″ at y = f(w): s′/2 = λσ/2 inside a half cell.

    It is never above λ/2 in size, and does not exist on targets, walls and the edge of a cap, where it
    jumps.

    Parameters
    ----------
    w
        Weights, any shape.
    warp
        Targets, ε, λ and cap of s.

    Returns
    -------
    Shape and dtype of w; 0 beyond the reach of a cap and, by convention, on a target.

    Source
    ------
    Claims A1, F1.
    """
    check_warp(warp)
    return scale_slope(w, warp) / 2


def warped_hessian(hessian: npt.ArrayLike, gradient: npt.ArrayLike, w: npt.ArrayLike, warp: Warp) -> Array:
    """The Hessian of L ∘ F⁻¹ at F(w).

    H_Y = S^½ H S^½ + diag((f⁻¹)″ ⊙ g),   S = diag s(w)

    Parameters
    ----------
    hessian
        H, shape (n, n).
    gradient, w
        Shape (n,).
    warp
        Targets, ε, λ and cap of s.

    Returns
    -------
    H_Y, shape (n, n).

    Raises
    ------
    ValueError
        For shapes that do not fit.

    Source
    ------
    Claim F1; assumes every weight off targets, walls and the edge of a cap, or g = 0 there: elsewhere
    f⁻¹ has no second derivative.

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid
    >>> warped_hessian([[2.0]], [1.0], [0.25], Warp(UniformGrid(1.0), strength=4.0))
    array([[4.]])
    """
    check_warp(warp)
    w, g = real_array("w", w), real_array("gradient", gradient)
    h = _square("hessian", hessian, w)
    same_shape("gradient", g, "w", w)
    root = np.sqrt(warp.scale(w))
    return np.asarray(root[:, None] * h * root + np.diag(inverse_curvature(w, warp) * g))


def psgd_linearisation(hessian: npt.ArrayLike, w: npt.ArrayLike, lr: float, warp: Warp) -> Array:
    """The matrix I − ηSH by which PSGD moves w − w* near a critical point w*.

    For s > 0 it is similar to I − ηH_Y, so its eigenvalues are real.

    Parameters
    ----------
    hessian
        H at w*, shape (n, n).
    w
        w*, shape (n,).
    lr, warp
        η ≥ 0, and targets, ε, λ and cap of s.

    Source
    ------
    Claim F2; assumes g(w*) = 0. With s_i = 0 the two matrices need not be similar.
    """
    check_warp(warp)
    w = real_array("w", w)
    h = _square("hessian", hessian, w)
    return np.asarray(np.eye(w.size) - real_number("lr", lr) * warp.scale(w)[:, None] * h)


@in_range
def largest_stable_step(warped: npt.ArrayLike) -> float:
    """2/λ_max(H_Y): PSGD is stable at a minimum for smaller η and leaves it for larger.

    Parameters
    ----------
    warped
        The symmetric H_Y of `warped_hessian` at a critical point, shape (n, n).

    Returns
    -------
    The step size. 0 where H_Y has a negative eigenvalue (a saddle or a maximum: PSGD leaves it at every
    η > 0); infinite for H_Y = 0. Zero eigenvalues decide nothing: along their directions PSGD stands still to
    first order.

    Source
    ------
    Claim F2; assumes s > 0.

    Examples
    --------
    >>> largest_stable_step([[4.0, 0.0], [0.0, 0.5]])
    0.5
    >>> largest_stable_step([[4.0, 0.0], [0.0, -0.5]])
    0.0
    """
    h = real_array("warped", warped)
    if h.ndim != 2 or h.shape[0] != h.shape[1] or h.size == 0:
        raise ValueError(f"warped must be square, (n, n) with n >= 1; got shape {h.shape}")
    values = np.linalg.eigvalsh(double(h))
    rounding = values.size * np.finfo(values.dtype).eps * np.abs(values).max(initial=0.0)
    if values[0] < -rounding:
        return 0.0
    return float(2 / values[-1]) if values[-1] > 0 else float("inf")


@in_range
def largest_stable_curvature(lr: float, eps: float, strength: float) -> float:
    """2/(ηλε): the curvature in w at which a minimum on its targets, s = λε, turns unstable.

    Parameters
    ----------
    lr, eps, strength
        η, ε and λ, all > 0.

    Source
    ------
    Claim F2.
    """
    scale = real_number("eps", eps, positive=True) * real_number("strength", strength, positive=True)
    return 2 / (real_number("lr", lr, positive=True) * scale)


@in_range
def quantization_loss(hessian: npt.ArrayLike, gradient: npt.ArrayLike, shift: npt.ArrayLike) -> float:
    """The change of loss by quantization, to second order.

    L(w̄) − L(w) ≈ g·q + ½ qᵀHq,   q = w̄ − w

    Parameters
    ----------
    hessian
        H at w, shape (n, n).
    gradient, shift
        g and q, shape (n,).

    Returns
    -------
    A number whose error is at most M‖q‖³/6 where H is M-Lipschitz between w and w̄.

    Source
    ------
    Claim F3.
    """
    q, g = real_array("shift", shift), real_array("gradient", gradient)
    h = _square("hessian", hessian, q)
    same_shape("gradient", g, "shift", q)
    return float(g @ q + 0.5 * q @ h @ q)


def _square(name: str, matrix: npt.ArrayLike, vector: Array) -> Array:
    array = real_array(name, matrix)
    if vector.ndim != 1 or array.shape != (vector.size, vector.size):
        raise ValueError(
            f"{name} must be (n, n) for vectors of shape (n,); got {array.shape}, {vector.shape}"
        )
    return array
