"""Weight decay to the grid: the pull κ(w − w̄) to the nearest target, in place of κw to zero.

Unscaled decay to zero pulls weights off every other target (claim E4). Decay to the nearest target is PSGD
on a loss with one more term, a penalty with a minimum on every target.
"""

import math

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, finite_number, in_range, real_array, real_number, same_shape
from psgd_ref.core.warp import Warp, check_warp


def grid_decay_step(w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp, weight_decay: float) -> Array:
    """A PSGD step with weight decay to the nearest target, outside the scaling.

    u = s(w) ⊙ g + κ(w − w̄),   w⁺ = w − η u

    Parameters
    ----------
    w, g : weights and loss gradient, same shape
    lr : η ≥ 0
    warp : targets, ε, λ and cap of s
    weight_decay : κ ≥ 0, in the unit of 1/η

    Returns
    -------
    New weights, shape and dtype of w.

    Raises
    ------
    ValueError for unequal shapes, values that are not finite, or a negative rate or decay.

    Source
    ------
    Claims E5, E6 and D10.

    >>> from psgd_ref.core import UniformGrid, Warp
    >>> grid_decay_step([0.9, 1.2], [0.0, 0.0], 1.0, Warp(UniformGrid(1.0)), 0.5)
    array([0.95, 1.1 ])
    """
    check_warp(warp)
    w, g = real_array("w", w), real_array("g", g)
    same_shape("g", g, "w", w)
    lr, weight_decay = real_number("lr", lr), real_number("weight_decay", weight_decay)
    return np.asarray(w - lr * (warp.scale(w) * g + weight_decay * (w - warp.targets.nearest(w))))


def grid_decay_penalty(w: npt.ArrayLike, warp: Warp, weight_decay: float) -> Array:
    """The penalty P of each weight that decay to the grid stands for: s ∂P/∂w = κ(w − w̄).

    P = (κ/λ)(d − ε ln(1 + d/ε)),   (κ/λ) d at ε = 0

    and beyond the cap, where s is held at S = λ(r + ε), r half the outermost gap, P grows by κ(d² − r²)/2S.
    Shape of w, in the unit of the loss. At ε = 0 it is a W: convex kinks on targets, concave ones on walls.
    Source: claim E5; the W is the regulariser of ProxQuant (Bai et al. 2019).
    """
    check_warp(warp)
    w, weight_decay = real_array("w", w), real_number("weight_decay", weight_decay)
    position = warp.targets.position(w)
    offset = w - warp.targets.value(position)
    d, reach = np.abs(offset), warp.reach(position, offset)
    near = np.minimum(d, reach)
    rounded = near - warp.eps * np.log1p(near / warp.eps) if warp.eps > 0 else near
    top = warp.strength * (np.where(np.isfinite(reach), reach, 1.0) + warp.eps)
    return np.asarray(
        weight_decay / warp.strength * rounded + weight_decay * (d - near) * (d + near) / (2 * top)
    )


def grid_decay_slope(w: npt.ArrayLike, warp: Warp, weight_decay: float) -> Array:
    """∂P/∂w = κ(w − w̄)/s(w), the slope of `grid_decay_penalty`; 0 on targets.

    (κ/λ)σ at ε = 0 off targets, without a cap. Shape and dtype of w. Source: claim E5.
    """
    check_warp(warp)
    w = real_array("w", w)
    position = warp.targets.position(w)
    offset = w - warp.targets.value(position)
    shifted = np.minimum(np.abs(offset), warp.reach(position, offset)) + warp.eps
    share = np.divide(offset, shifted, out=np.zeros_like(w), where=shifted > 0)
    return real_number("weight_decay", weight_decay) / warp.strength * share


@in_range
def hold_factor(gradient: float, lr: float, strength: float, weight_decay: float) -> float:
    """The factor by which a step, in the long run, changes the distance from a target; constant g, ε = 0.

    b where b ≥ 0, √(ab) where b < 0;   a = 1 − η(κ + λ|g|), b = 1 − η(κ − λ|g|)

    the larger of the two sides' factors where the weight stays on its side, and the mean of the two where it
    jumps from one to the other. The target holds the weight (is stable) where this is below 1, so only for
    |g| < κ/λ. Source: claim E5.

    >>> hold_factor(0.5, lr=0.5, strength=1.0, weight_decay=1.0), hold_factor(2.0, 0.5, 1.0, 1.0)
    (0.75, 1.5)
    """
    lr, weight_decay = real_number("lr", lr), real_number("weight_decay", weight_decay)
    push = real_number("strength", strength) * abs(finite_number("gradient", gradient))
    a, b = 1 - lr * (weight_decay + push), 1 - lr * (weight_decay - push)
    return b if b >= 0 else math.sqrt(a * b)


@in_range
def hold_distance(gradient: float, eps: float, strength: float, weight_decay: float) -> float:
    """How far from its target a constant gradient holds a weight: d = ελ|g|/(κ − λ|g|), down the gradient.

    0 at ε = 0. Assumes λ|g|(h + ε) < κh, h half the gap, so that d < h; raises ValueError for λ|g| ≥ κ, where
    the weight leaves. Source: claim E5.
    """
    push, weight_decay = (
        real_number("strength", strength) * abs(finite_number("gradient", gradient)),
        real_number("weight_decay", weight_decay),
    )
    if push >= weight_decay:
        raise ValueError(
            f"weight_decay must be > strength·|gradient| = {push:g} to hold a weight; got {weight_decay:g}"
        )
    return real_number("eps", eps) * push / (weight_decay - push)


@in_range
def gathering_factor(steepest: float, lr: float, strength: float, weight_decay: float) -> float:
    """The factor by which the distance to the target shrinks in one step, at worst: 1 − η(κ − λG).

    Assumes ε = 0, a uniform grid, ηκ ≤ 1 and |g_i| ≤ G < κ/λ, G = `steepest`. Source: claim E6.
    """
    push = real_number("strength", strength) * real_number("steepest", steepest)
    return 1 - real_number("lr", lr) * (real_number("weight_decay", weight_decay) - push)


@in_range
def rounding_bound(shift: npt.ArrayLike, steepest: float, smoothness: float) -> float:
    """The most that rounding can cost: L(w̄) − L(w) ≤ G‖q‖₁ + (β/2)‖q‖², q = w̄ − w.

    Assumes L β-smooth and |g_i(w)| ≤ G, G = `steepest`. shift : q, any shape. Source: claim E6.
    """
    q = real_array("shift", shift)
    half = real_number("smoothness", smoothness) / 2
    return float(real_number("steepest", steepest) * np.abs(q).sum() + half * (q**2).sum())
