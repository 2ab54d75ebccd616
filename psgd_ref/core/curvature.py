"""Curvature seen from the weights and from the warped space: closed forms of chapter F of the ledger."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, double, in_range, real_array, real_number, same_shape
from psgd_ref.core.bounds import scale_slope
from psgd_ref.core.warp import Warp, check_warp


def inverse_curvature(w: npt.ArrayLike, warp: Warp) -> Array:
    """(f⁻¹)″ at y = f(w): s′/2 = λσ/2, never above λ/2 in size; 0 beyond a cap, and 0 on a target's kink.

    Shape and dtype of w. Source: claims A1, F1.
    """
    return scale_slope(w, warp) / 2


def warped_hessian(hessian: npt.ArrayLike, gradient: npt.ArrayLike, w: npt.ArrayLike, warp: Warp) -> Array:
    """The Hessian of L ∘ F⁻¹ at F(w).

    H_Y = S^½ H S^½ + diag((f⁻¹)″ ⊙ g),   S = diag s(w)

    hessian : H, shape (n, n); gradient, w : shape (n,). Assumes every w off its target, where f⁻¹ has no
    second derivative, or g = 0 there. Raises ValueError for shapes that do not fit. Source: claim F1.
    """
    check_warp(warp)
    w, g = real_array("w", w), real_array("gradient", gradient)
    h = _square("hessian", hessian, w)
    same_shape("gradient", g, "w", w)
    root = np.sqrt(warp.scale(w))
    return np.asarray(root[:, None] * h * root + np.diag(inverse_curvature(w, warp) * g))


def psgd_linearisation(hessian: npt.ArrayLike, w: npt.ArrayLike, lr: float, warp: Warp) -> Array:
    """The matrix I − ηSH by which PSGD moves w − w* near a critical point w*, shape (n, n).

    Similar to I − ηH_Y. Assumes g(w*) = 0 and s > 0. Source: claim F2.
    """
    check_warp(warp)
    w = real_array("w", w)
    h = _square("hessian", hessian, w)
    return np.asarray(np.eye(w.size) - real_number("lr", lr) * warp.scale(w)[:, None] * h)


@in_range
def largest_stable_step(warped: npt.ArrayLike) -> float:
    """2/λ_max(H_Y): PSGD is stable at a minimum for smaller η and leaves it for larger.

    warped : the symmetric H_Y of `warped_hessian` at a critical point; infinite when λ_max ≤ 0.
    Raises ValueError for a matrix that is not square. Source: claim F2.
    """
    h = real_array("warped", warped)
    if h.ndim != 2 or h.shape[0] != h.shape[1] or h.size == 0:
        raise ValueError(f"warped must be square, (n, n) with n >= 1; got shape {h.shape}")
    top = float(np.linalg.eigvalsh(double(h))[-1])
    return 2 / top if top > 0 else float("inf")


@in_range
def largest_stable_curvature(lr: float, eps: float, strength: float) -> float:
    """2/(ηλε): the curvature in w at which a minimum on its targets, s = λε, turns unstable. Claim F2."""
    scale = real_number("eps", eps, positive=True) * real_number("strength", strength, positive=True)
    return 2 / (real_number("lr", lr, positive=True) * scale)


@in_range
def quantization_loss(hessian: npt.ArrayLike, gradient: npt.ArrayLike, shift: npt.ArrayLike) -> float:
    """The change of loss by quantization, to second order.

    L(w̄) − L(w) ≈ g·q + ½ qᵀHq,   q = w̄ − w

    hessian : (n, n); gradient, shift (= q) : (n,). The error is at most M‖q‖³/6 where H is M-Lipschitz.
    Source: claim F3.
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
