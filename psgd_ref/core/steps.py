"""One flow, three discretisations: Euler steps of ẇ = −s(w) ⊙ ∇L in w, in f(w) and in the mirror coordinate.

They agree to first order in the step size; at second order they differ by c·η² s s′ g² with
c = 0 (PSGD), 1/4 (warped), 1/2 (mirror): claims B1–B3.
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, real_array, real_number, same_shape
from psgd_ref.core.barrier import target_interval
from psgd_ref.core.warp import Warp, check_warp


def psgd_step(w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp) -> Array:
    """Position-based scaled gradient descent: an Euler step in w.

    w⁺ = w − η s(w) ⊙ g

    Parameters
    ----------
    w, g
        Weights and loss gradient, same shape.
    lr
        η ≥ 0.
    warp
        Targets, ε, λ and cap of s.

    Returns
    -------
    New weights, shape and dtype of w; w and g are left as they are.

    Raises
    ------
    ValueError
        For unequal shapes, values that are not finite, or a negative rate.

    Source
    ------
    The paper, Eq. (7).

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid, Warp
    >>> psgd_step([0.25, 1.0], [1.0, 1.0], 0.5, Warp(UniformGrid(1.0)))  # on a target nothing moves
    array([0.125, 1.   ])
    """
    w, g, lr = _arguments(w, g, lr, warp)
    return w - lr * warp.scale(w) * g


def warped_step(w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp) -> Array:
    """Gradient descent in the warped space, mapped back: an Euler step in y = f(w).

    w⁺ = f⁻¹(f(w) − η √s(w) ⊙ g),   because ∂L/∂y = g / f′ = √s g

    Parameters
    ----------
    w, g, lr, warp
        As for `psgd_step`.

    Returns
    -------
    As `psgd_step`.

    Raises
    ------
    ValueError
        As `psgd_step`.

    Source
    ------
    The paper, Theorem 1; claims B1, B2.

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid, Warp
    >>> warped_step([0.25, 1.0], [1.0, 1.0], 0.5, Warp(UniformGrid(1.0)))
    array([0.140625, 1.      ])
    """
    w, g, lr = _arguments(w, g, lr, warp)
    return warp.inverse(warp(w) - lr * np.sqrt(warp.scale(w)) * g)


def mirror_step(w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp) -> Array:
    """Mirror descent with the potential Φ″ = 1/s: an Euler step in Φ′(w).

    Φ′(w⁺) = Φ′(w) − η g

    Within a half cell (d + ε)⁺ = (d + ε)·e^(−t), t = ηλgσ. At ε = 0 targets lie at infinity in Φ′: a
    weight keeps the interval between two targets in which it started, and a weight on a target stays.

    Parameters
    ----------
    w, g, lr, warp
        As for `psgd_step`.

    Returns
    -------
    As `psgd_step`.

    Raises
    ------
    ValueError
        As `psgd_step`.

    Source
    ------
    Claim B3.

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid, Warp
    >>> mirror_step([0.25], [1.0], 0.5, Warp(UniformGrid(1.0))) / 0.25  # e^(−1/2)
    array([0.60653066])
    """
    w, g, lr = _arguments(w, g, lr, warp)
    return _mirror_between_targets(w, g, lr, warp) if warp.eps == 0 else _mirror(w, g, lr, warp)


def _mirror(w: Array, g: Array, lr: float, warp: Warp) -> Array:
    """The mirror step for ε > 0, where Φ′ is finite everywhere and weights may pass targets."""
    targets, eps, strength = warp.targets, warp.eps, warp.strength
    images = targets.respaced(lambda gap: 2 / strength * np.log1p(gap / (2 * eps)))

    position = targets.position(w)
    offset = w - targets.value(position)
    d, reach = np.abs(offset), warp.reach(position, offset)
    near = np.minimum(d, reach)
    length = np.log1p(near / eps) / strength + (d - near) / (strength * (near + eps))
    y = images.value(position) + np.copysign(length, offset) - lr * g

    position = images.position(y)
    u = y - images.value(position)
    length, reach = np.abs(u), warp.reach(position, u)
    near = np.minimum(length, np.log1p(reach / eps) / strength)
    d = eps * np.expm1(strength * near)
    d = d + (length - near) * strength * (d + eps)
    return np.asarray(targets.value(position) + np.copysign(d, u))


def _mirror_between_targets(w: Array, g: Array, lr: float, warp: Warp) -> Array:
    """The mirror step for ε = 0: d is multiplied by e^(−t), measured from the nearer of two targets."""
    targets = warp.targets
    position = targets.position(w)
    offset = w - targets.value(position)
    side, d = np.sign(offset), np.abs(offset)
    gap = targets.gap(position, side)
    half = np.where(np.isinf(gap), warp.reach(position, offset), gap / 2)
    t = lr * warp.strength * side * g
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        grown = d * np.exp(-t)
        across = gap - half * (half / grown)
        # Beyond the cap Φ′ is linear: x is Φ′ in units of 1/λ, measured from the cap.
        x = np.where(d > half, d / half - 1, np.log(d / half)) - t
        beyond = half * np.where(x > 0, 1 + x, np.exp(x))
    moved = np.where(np.isinf(half), grown, np.where(np.isinf(gap), beyond, across))
    # On a wall rounding may put d an ulp above half the gap; only past the outermost target is that outside.
    inside = (grown <= half) & ((d <= half) | np.isfinite(gap))
    # Rounding must not put it an ulp beyond the neighbouring target: from there it would go on.
    low, high = target_interval(w, targets)
    return np.asarray(np.clip(targets.value(position) + side * np.where(inside, grown, moved), low, high))


def _arguments(w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp) -> tuple[Array, Array, float]:
    check_warp(warp)
    w, g = real_array("w", w), real_array("g", g)
    same_shape("g", g, "w", w)
    return w, g, real_number("lr", lr)
