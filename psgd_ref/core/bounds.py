"""Closed forms and bounds on volumes and convergence: chapters C and D of the ledger.

Every function states its formula, what it assumes and the claim it belongs to. A bound is a number
that a run can be compared with; nothing here takes a step. In chapter D the loss L is β-smooth and
bounded below by L*, and ‖g‖²_s = Σ s_i g_i².
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import in_range, real_array, real_number, same_shape, whole_number
from psgd_ref.core.warp import Warp, check_warp

# C. Volume


def volume_factor(w: npt.ArrayLike, warp: Warp) -> float:
    """det DF(w) = ∏ s_i^(−1/2): how much the warp stretches volume at w.

    Parameters
    ----------
    w
        Weights, any shape.
    warp
        Targets, ε, λ and cap of s.

    Returns
    -------
    A number ≥ 0, infinite when a weight is on its target at ε = 0. It is not 1: claim C1.

    Source
    ------
    The review; claims C1, C4.
    """
    check_warp(warp)
    with np.errstate(divide="ignore", over="ignore"):
        return float(np.exp(-0.5 * np.log(warp.scale(w)).sum()))


@in_range
def mean_scale_of_cell(gap: float, eps: float, strength: float) -> float:
    """Mean of s over a cell, λ(Δ/4 + ε); 2 for λ = λ* at ε = 0.

    Parameters
    ----------
    gap, eps, strength
        Δ > 0, ε ≥ 0 and λ ≥ 0.

    Source
    ------
    Claim C3.

    Examples
    --------
    >>> mean_scale_of_cell(0.5, 0.0, strength=8 / 0.5)
    2.0
    """
    gap, eps = real_number("gap", gap, positive=True), real_number("eps", eps)
    return real_number("strength", strength) * (gap / 4 + eps)


# D. Convergence


@in_range
def largest_scale(gap: float, eps: float, strength: float) -> float:
    """S = λ(Δ/2 + ε), the largest scale inside a grid whose widest gap is Δ; everywhere with a cap.

    Parameters
    ----------
    gap, eps, strength
        Δ > 0, ε ≥ 0 and λ ≥ 0.

    Source
    ------
    Claims A5, D1.
    """
    gap, eps = real_number("gap", gap, positive=True), real_number("eps", eps)
    return real_number("strength", strength) * (gap / 2 + eps)


@in_range
def largest_step(smoothness: float, largest_scale: float) -> float:
    """The largest step size of the descent bound, η = 1/(βS).

    Parameters
    ----------
    smoothness, largest_scale
        β > 0 and S > 0.

    Source
    ------
    Claim D1.

    Examples
    --------
    >>> largest_step(smoothness=4.0, largest_scale=largest_scale(gap=0.5, eps=0.0, strength=8.0))
    0.125
    """
    beta = real_number("smoothness", smoothness, positive=True)
    return 1 / (beta * real_number("largest_scale", largest_scale, positive=True))


def scaled_norm(g: npt.ArrayLike, scale: npt.ArrayLike) -> float:
    """‖g‖²_s = Σ s_i g_i², the measure of stationarity of chapter D.

    Parameters
    ----------
    g, scale
        Gradient and scale, same shape.
    """
    g, scale = real_array("g", g), real_array("scale", scale)
    same_shape("scale", scale, "g", g)
    return float(np.sum(scale * g**2))


def descent_bound(g: npt.ArrayLike, scale: npt.ArrayLike, lr: float) -> float:
    """The least decrease of the loss in one PSGD step.

    L(w) − L(w⁺) ≥ (η/2) ‖g‖²_s

    Parameters
    ----------
    g, scale
        Full gradient and scale at w, same shape.
    lr
        η ≥ 0.

    Source
    ------
    Claim D1; assumes L β-smooth, every s_i ≤ S and ηS ≤ 1/β.
    """
    return real_number("lr", lr) / 2 * scaled_norm(g, scale)


@in_range
def rate_bound(loss_gap: float, lr: float, steps: int) -> float:
    """min over K steps of ‖g‖²_s ≤ 2(L₀ − L*)/(ηK).

    Parameters
    ----------
    loss_gap
        L₀ − L* ≥ 0.
    lr, steps
        η > 0 and K ≥ 1.

    Source
    ------
    Claim D2; assumes D1's conditions at every step.
    """
    lr = real_number("lr", lr, positive=True)
    return 2 * real_number("loss_gap", loss_gap) / (lr * whole_number("steps", steps, 1))


@in_range
def gradient_rate_bound(loss_gap: float, lr: float, steps: int, eps: float, strength: float) -> float:
    """min over K steps of ‖g‖² ≤ 2(L₀ − L*)/(ηλεK).

    Parameters
    ----------
    loss_gap, lr, steps
        As for `rate_bound`.
    eps, strength
        ε > 0 and λ > 0.

    Source
    ------
    Claim D2; assumes D1's conditions at every step, and ε > 0.
    """
    least = real_number("eps", eps, positive=True) * real_number("strength", strength, positive=True)
    return rate_bound(loss_gap, lr, steps) / least


@in_range
def pl_rate(lr: float, eps: float, strength: float, pl: float) -> float:
    """The factor by which L − L* shrinks in one step, at worst: 1 − ηλεμ.

    Parameters
    ----------
    lr, eps, strength
        η ≥ 0, ε > 0 and λ > 0.
    pl
        μ of the Polyak–Łojasiewicz inequality ½‖∇L‖² ≥ μ(L − L*): of a quadratic the least curvature
        that is not 0.

    Source
    ------
    Claim D3; assumes D1's conditions, and ε > 0.
    """
    least = real_number("strength", strength, positive=True) * real_number("eps", eps, positive=True)
    return 1 - real_number("lr", lr) * least * real_number("pl", pl)


@in_range
def local_contraction(lr: float, eps: float, strength: float, curvature: float, offset: float = 0.0) -> float:
    """The factor to which the distance to the minimiser of a one-dimensional quadratic tends.

    1 − ηλ(d* + ε)h

    The loss shrinks by the square, so for d* = 0, where μ = h, the exponent of `pl_rate` is tight within
    a factor of 2.

    Parameters
    ----------
    lr, eps, strength
        η, ε and λ, all ≥ 0.
    curvature
        h ≥ 0.
    offset
        d* ≥ 0, the distance of the minimiser from its target, less than half the gap.

    Source
    ------
    Claim D3; assumes a factor between −1 and 1, which D1's conditions give.
    """
    scale = real_number("strength", strength) * (real_number("offset", offset) + real_number("eps", eps))
    return 1 - real_number("lr", lr) * scale * real_number("curvature", curvature)


@in_range
def stochastic_bound(
    loss_gap: float, lr: float, steps: int, smoothness: float, largest_scale: float, variance: float
) -> float:
    """Average over K steps of E‖g‖²_s ≤ 2(L₀ − L*)/(ηK) + ηβS²v.

    Parameters
    ----------
    loss_gap, lr, steps
        As for `rate_bound`.
    smoothness, largest_scale
        β ≥ 0 and S ≥ 0.
    variance
        v ≥ 0 with E‖ĝ − g‖² ≤ v, over all weights together.

    Source
    ------
    Claim D4; assumes E ĝ = g given w, every s_i ≤ S and ηS ≤ 1/β.
    """
    noise = real_number("lr", lr) * real_number("smoothness", smoothness) * real_number("variance", variance)
    return rate_bound(loss_gap, lr, steps) + noise * real_number("largest_scale", largest_scale) ** 2
