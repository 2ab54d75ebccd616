"""Closed forms and bounds on steps, volumes and convergence: chapters B, C and D of the ledger.

Every function states its formula, what it assumes and the claim it belongs to. A bound is a number
that a run can be compared with; nothing here takes a step.
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, choice, in_range, real_array, real_number, same_shape, whole_number
from psgd_ref.core.targets import Targets, target_set
from psgd_ref.core.warp import Warp, check_warp

DISCRETIZATIONS = ("psgd", "warp", "mirror")


# B. One flow, three discretisations


def second_order_coefficient(discretisation: str) -> float:
    """The c in w⁺ = w − ηsg + c η² s s′ g² + O(η³): 0 (psgd), 1/4 (warp), 1/2 (mirror).

    Assumes s smooth between w and w⁺. Raises ValueError for another name. Source: claim B3.
    """
    return {"psgd": 0.0, "warp": 0.25, "mirror": 0.5}[
        choice("discretisation", discretisation, DISCRETIZATIONS)
    ]


def scale_slope(w: npt.ArrayLike, warp: Warp) -> Array:
    """s′(w) = λσ: λ above a target, −λ below, 0 on it (where s has a kink) and beyond a cap.

    Shape and dtype of w. Source: the paper, Eq. (6); claims A5, B3.
    """
    check_warp(warp)
    w = real_array("w", w)
    position = warp.targets.position(w)
    offset = w - warp.targets.value(position)
    growing = np.abs(offset) < warp.reach(position, offset)
    return np.asarray(np.where(growing, warp.strength * np.sign(offset), 0.0).astype(w.dtype))


def second_order_term(
    w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp, discretisation: str
) -> Array:
    """c η² s s′ g²: what a step adds, to second order in η, to the PSGD step.

    Arguments as `psgd_step`; shape and dtype of w. Assumes w off its target and off the cell wall.
    Source: claim B3.
    """
    check_warp(warp)
    w, g = real_array("w", w), real_array("g", g)
    same_shape("g", g, "w", w)
    force = real_number("lr", lr) * g
    return second_order_coefficient(discretisation) * force**2 * warp.scale(w) * scale_slope(w, warp)


def warp_remainder(w: npt.ArrayLike, g: npt.ArrayLike, lr: float, warp: Warp) -> Array:
    """The most by which the warped step can differ from the PSGD step.

    |w⁺_warp − w⁺_PSGD| ≤ η² λ s g² / 4

    for every η, because |(f⁻¹)″| ≤ λ/2. Equality, with the sign σ (away from the target), when the
    step stays on one side of the target and inside the cell. Arguments as `psgd_step`; shape of w.
    Source: claim B2.
    """
    check_warp(warp)
    w, g = real_array("w", w), real_array("g", g)
    same_shape("g", g, "w", w)
    force = real_number("lr", lr) * g
    return force**2 * warp.scale(w) * (warp.strength / 4)


def decay_ratio(t: npt.ArrayLike, discretisation: str) -> Array:
    """What one step does to the distance from the target, t = ηλgσ.

    (d⁺+ε)/(d+ε) = 1 − t (psgd), (1 − t/2)|1 − t/2| (warp), e^(−t) (mirror)

    Assumes the step stays inside the half cell; at ε = 0 it may cross the target, and a negative
    ratio says that it did (psgd and warp). t and result: any shape. Source: claim B3.
    """
    t = real_array("t", t)
    name = choice("discretisation", discretisation, DISCRETIZATIONS)
    if name == "psgd":
        return 1 - t
    return (1 - t / 2) * np.abs(1 - t / 2) if name == "warp" else np.exp(-t)


# C. Volume


def volume_factor(w: npt.ArrayLike, warp: Warp) -> float:
    """det DF(w) = ∏ s_i^(−1/2): how much the warp stretches volume at w; infinite on a target at ε = 0.

    Claim C1: it is not 1. Source: the review; claims C1, C4.
    """
    check_warp(warp)
    with np.errstate(divide="ignore", over="ignore"):
        return float(np.exp(-0.5 * np.log(warp.scale(w)).sum()))


@in_range
def mean_scale_of_cell(gap: float, eps: float, strength: float) -> float:
    """Mean of s over a cell, λ(Δ/4 + ε); 2 for λ = λ* at ε = 0. Source: claim C3."""
    gap, eps = real_number("gap", gap, positive=True), real_number("eps", eps)
    return real_number("strength", strength) * (gap / 4 + eps)


# D. Convergence. L is β-smooth and bounded below by L*; ‖g‖²_s = Σ s_i g_i²


@in_range
def largest_scale(gap: float, eps: float, strength: float) -> float:
    """S = λ(Δ/2 + ε), the largest scale inside a grid whose widest gap is Δ; everywhere with a cap.

    Source: claims A5, D1.
    """
    gap, eps = real_number("gap", gap, positive=True), real_number("eps", eps)
    return real_number("strength", strength) * (gap / 2 + eps)


@in_range
def largest_step(smoothness: float, largest_scale: float) -> float:
    """The largest step size of the descent bound, η = 1/(βS). Source: claim D1."""
    beta = real_number("smoothness", smoothness, positive=True)
    return 1 / (beta * real_number("largest_scale", largest_scale, positive=True))


def scaled_norm(g: npt.ArrayLike, scale: npt.ArrayLike) -> float:
    """‖g‖²_s = Σ s_i g_i², the measure of stationarity of chapter D."""
    g, scale = real_array("g", g), real_array("scale", scale)
    same_shape("scale", scale, "g", g)
    return float(np.sum(scale * g**2))


def descent_bound(g: npt.ArrayLike, scale: npt.ArrayLike, lr: float) -> float:
    """The least decrease of the loss in one PSGD step.

    L(w) − L(w⁺) ≥ (η/2) ‖g‖²_s

    Assumes L β-smooth, every s_i ≤ S, ηS ≤ 1/β. Source: claim D1.
    """
    return real_number("lr", lr) / 2 * scaled_norm(g, scale)


@in_range
def rate_bound(loss_gap: float, lr: float, steps: int) -> float:
    """min over K steps of ‖g‖²_s ≤ 2(L₀ − L*)/(ηK). Assumes D1's conditions at every step. Claim D2."""
    lr = real_number("lr", lr, positive=True)
    return 2 * real_number("loss_gap", loss_gap) / (lr * whole_number("steps", steps, 1))


@in_range
def gradient_rate_bound(loss_gap: float, lr: float, steps: int, eps: float, strength: float) -> float:
    """min over K steps of ‖g‖² ≤ 2(L₀ − L*)/(ηλεK). As `rate_bound`, and ε > 0. Claim D2."""
    least = real_number("eps", eps, positive=True) * real_number("strength", strength, positive=True)
    return rate_bound(loss_gap, lr, steps) / least


@in_range
def pl_rate(lr: float, eps: float, strength: float, pl: float) -> float:
    """The factor by which L − L* shrinks in one step, at worst: 1 − ηλεμ.

    Assumes D1's conditions, ε > 0 and the Polyak–Łojasiewicz inequality ½‖∇L‖² ≥ μ(L − L*).
    Source: claim D3.
    """
    least = real_number("strength", strength, positive=True) * real_number("eps", eps, positive=True)
    return 1 - real_number("lr", lr) * least * real_number("pl", pl)


@in_range
def local_contraction(lr: float, eps: float, strength: float, curvature: float, offset: float = 0.0) -> float:
    """The factor to which the distance to the minimiser of a one-dimensional quadratic tends.

    1 − ηλ(d* + ε)h

    h: curvature; d*: distance of the minimiser from its target. The loss shrinks by the square, so
    for d* = 0, where μ = h, the exponent of `pl_rate` is tight within a factor of 2. Claim D3.
    """
    scale = real_number("strength", strength) * (real_number("offset", offset) + real_number("eps", eps))
    return 1 - real_number("lr", lr) * scale * real_number("curvature", curvature)


@in_range
def stochastic_bound(
    loss_gap: float, lr: float, steps: int, smoothness: float, largest_scale: float, variance: float
) -> float:
    """Average over K steps of E‖g‖²_s ≤ 2(L₀ − L*)/(ηK) + ηβS²v.

    Assumes unbiased gradients with E‖ĝ − g‖² ≤ v, every s_i ≤ S and ηS ≤ 1/β. Source: claim D4.
    """
    noise = real_number("lr", lr) * real_number("smoothness", smoothness) * real_number("variance", variance)
    return rate_bound(loss_gap, lr, steps) + noise * real_number("largest_scale", largest_scale) ** 2


def stays_between_targets(g: npt.ArrayLike, lr: float, strength: float) -> npt.NDArray[np.bool_]:
    """Whether ηλ|g| < 1: then, at ε = 0 without momentum, a weight cannot pass a target. Claim D6."""
    return real_number("lr", lr) * real_number("strength", strength) * np.abs(real_array("g", g)) < 1


def target_interval(w: npt.ArrayLike, targets: Targets) -> tuple[Array, Array]:
    """The interval between neighbouring targets that holds each weight, as (low, high), claim D6's box.

    A weight on a target has low = high = w; beyond the outermost target an end is infinite.
    Shape and dtype of w. Source: claim D6.
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
    to: npt.ArrayLike, start: npt.ArrayLike, targets: Targets, strength: float = 1.0
) -> float:
    """The Bregman divergence D_Φ(to, start) of the mirror potential Φ″ = 1/s at ε = 0.

    Φ(x) = (x ln(x/h) − x)/λ, x the distance to the nearer target, h half the gap; summed over weights.

    to, start : same shape; `to` in the closed inter-target interval of `start`, and equal to it where
    `start` is on a target. Raises ValueError otherwise. Source: claim D6.
    """
    to, start = real_array("to", to), real_array("start", start)
    same_shape("to", to, "start", start)
    low, high = target_interval(start, targets)
    if ((to < low) | (to > high)).any():
        raise ValueError("to must lie between the same neighbouring targets as start, weight by weight")
    half = (high - low) / 2
    moving, half = low < high, np.where(np.isfinite(half), half, 1.0)
    safe = np.where(moving, half, 1.0)

    def potential(w: Array) -> Array:
        x = np.minimum(w - low, high - w)
        return np.asarray(x * np.log(np.where(x > 0, x / safe, 1.0)) - x)

    from_low = start - low <= high - start
    with np.errstate(divide="ignore"):
        slope = np.where(from_low, 1.0, -1.0) * np.log(np.minimum(start - low, high - start) / safe)
    terms = potential(to) - potential(start) - np.where(moving, slope, 0.0) * (to - start)
    return float(np.where(moving, terms, 0.0).sum() / real_number("strength", strength, positive=True))


@in_range
def box_bound(divergence: float, time: float) -> float:
    """L(w(t)) − L_box ≤ D_Φ(w_box, w₀)/t.

    Assumes L convex, ε = 0, a fixed grid and the flow ẇ = −s ⊙ ∇L, t > 0; also `mirror_step` after K
    steps with t = ηK and ηβS ≤ 1. L_box: least loss over `target_interval`. Source: claim D6.
    """
    return real_number("divergence", divergence) / real_number("time", time, positive=True)
