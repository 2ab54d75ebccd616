"""The box that PSGD cannot leave at ε = 0, and how fast the best point in it is approached: claim D6."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, flag, in_range, real_array, real_number, same_shape
from psgd_ref.core.targets import Targets, target_set


def stays_between_targets(g: npt.ArrayLike, lr: float, strength: float) -> npt.NDArray[np.bool_]:
    """Whether ηλ|g| < 1: then, at ε = 0, the step w − ηs(w) ⊙ g cannot take a weight past a target.

    Parameters
    ----------
    g
        The direction that the scale is applied to, any shape: a gradient, noisy or averaged.
    lr, strength
        η ≥ 0 and λ ≥ 0.

    Returns
    -------
    Booleans, shape of g.

    Source
    ------
    Claim D6; a step whose momentum is applied after the scaling is not of this form.
    """
    return real_number("lr", lr) * real_number("strength", strength) * np.abs(real_array("g", g)) < 1


def target_interval(w: npt.ArrayLike, targets: Targets) -> tuple[Array, Array]:
    """The interval between neighbouring targets that holds each weight: the box of claim D6.

    Parameters
    ----------
    w
        Weights, any shape.
    targets
        Any target set.

    Returns
    -------
    low, high
        Shape and dtype of w. A weight on a target has low = high = w; beyond the outermost target one
        end is infinite.

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid
    >>> target_interval([0.3, 1.0, -2.5], UniformGrid(1.0, 1))
    (array([  0.,   1., -inf]), array([ 1.,  1., -1.]))
    """
    w, targets = real_array("w", w), target_set(targets)
    position = targets.position(w)
    target = targets.value(position)
    above, below = w > target, w < target
    # The neighbour's own value, not target ± gap: the box must end on exactly the number `nearest` gives.
    up, down = targets.gap(position, np.ones_like(w)), targets.gap(position, -np.ones_like(w))
    high = np.where(np.isinf(up), np.inf, targets.value(position + (above & np.isfinite(up))))
    low = np.where(np.isinf(down), -np.inf, targets.value(position - (below & np.isfinite(down))))
    return np.where(above, target, np.where(below, low, target)), np.where(above, high, target)


def mirror_divergence(
    to: npt.ArrayLike, start: npt.ArrayLike, targets: Targets, strength: float = 1.0, cap: bool = False
) -> float:
    """The Bregman divergence D_Φ(to, start) of the mirror potential, Φ″ = 1/s, at ε = 0.

    Φ(x) = (x ln(x/h) − x)/λ,   and beyond a cap, x > h,   Φ(x) = ((x − h)²/2h − h)/λ

    x is the distance to the nearer target and h half the gap around the weight; beyond the outermost target
    it is half the outermost gap (or 1, which changes nothing, where there is neither gap nor cap).

    Parameters
    ----------
    to, start
        Same shape; `to` in the closed inter-target interval of `start`, and equal to it where `start` is
        on a target.
    targets, strength, cap
        T, λ > 0 and the cap of s.

    Returns
    -------
    The sum over weights, in the unit of η times the loss.

    Raises
    ------
    ValueError
        For a `to` outside these intervals, and a cap with a single target.

    Source
    ------
    Claim D6.

    Examples
    --------
    >>> from psgd_ref.core import UniformGrid
    >>> mirror_divergence([0.0], [0.25], UniformGrid(1.0))
    0.25
    """
    to, start = real_array("to", to), real_array("start", start)
    same_shape("to", to, "start", start)
    target_set(targets)
    if flag("cap", cap) and not np.isfinite(targets.mean_gap()):
        raise ValueError("cap needs at least two targets: a single one has no gap to cap at")
    low, high = target_interval(start, targets)
    if ((to < low) | (to > high)).any():
        raise ValueError("to must lie between the same neighbouring targets as start, weight by weight")
    moving, inner = low < high, np.isfinite(high - low)
    side = np.where(np.isfinite(low), 1.0, -1.0)  # beyond the outermost target: away from it
    outer = targets.gap(targets.position(start), -side) / 2 if cap else np.ones_like(start)
    half = np.where(moving, np.where(inner, (high - low) / 2, outer), 1.0)

    def distance(w: Array) -> Array:
        return np.minimum(w - low, high - w)

    def potential(w: Array) -> Array:
        x = distance(w)
        near = x * np.log(np.where(x > 0, x / half, 1.0)) - x
        return np.where(cap & ~inner & (x > half), (x - half) ** 2 / (2 * half) - half, near)

    x = distance(start)
    with np.errstate(divide="ignore"):
        slope = np.where(cap & ~inner & (x > half), x / half - 1, np.log(x / half))
    slope = np.where(start - low <= high - start, slope, -slope)
    terms = potential(to) - potential(start) - np.where(moving, slope, 0.0) * (to - start)
    return float(np.where(moving, terms, 0.0).sum() / real_number("strength", strength, positive=True))


@in_range
def box_bound(divergence: float, time: float) -> float:
    """L(w(t)) − L_box ≤ D_Φ(w_box, w₀)/t.

    Parameters
    ----------
    divergence
        D_Φ of `mirror_divergence`, from w₀ to a point w_box of the box at which L is least, L_box.
    time
        t > 0 of the flow ẇ = −s ⊙ ∇L; or ηK after K mirror steps with ηβS ≤ 1.

    Source
    ------
    Claim D6; assumes L convex with a minimum in the box, ε = 0 and fixed targets.
    """
    return real_number("divergence", divergence) / real_number("time", time, positive=True)
