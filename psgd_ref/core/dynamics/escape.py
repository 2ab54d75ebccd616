"""How long noise takes from one target to the next: effective diffusion on a lattice, flat loss, ε > 0."""

import numpy as np

from psgd_ref.core.arguments import in_range, real_number
from psgd_ref.core.clustering import stationary_exponent


@in_range
def effective_diffusion(
    gap: float, eps: float, strength: float, lr: float, variance: float, discretization: str = "psgd"
) -> float:
    """How much noise adds to the variance of a weight in one step, once it has crossed many cells.

    D = η²v / (⟨s^(−q)⟩⟨s^(q−2)⟩)

    means over a cell, q of `stationary_exponent`. For PSGD D = η²v·s_min·s_max with s_min = λε and
    s_max = λ(Δ/2 + ε): SGD's, at the geometric mean of the extreme scales. Assumes a lattice of spacing
    Δ = `gap`, a flat loss, ε > 0, and η → 0. Source: claim E8; the method is homogenisation.
    """
    gap, eps = real_number("gap", gap, positive=True), real_number("eps", eps, positive=True)
    strength = real_number("strength", strength, positive=True)
    q = stationary_exponent(discretization)
    slow, fast = (_mean_power(gap / 2, eps, p) for p in (-q, q - 2))
    return (real_number("lr", lr) * strength) ** 2 * real_number("variance", variance) / (slow * fast)


@in_range
def escape_time(
    gap: float, eps: float, strength: float, lr: float, variance: float, discretization: str = "psgd"
) -> float:
    """Mean number of steps from a target to one of its two neighbours: Δ²/D, D of `effective_diffusion`.

    Δ²/(η²v·λε·λ(Δ/2 + ε)) for PSGD. Arguments and assumptions as there; lr and variance > 0. Claim E8.
    """
    real_number("lr", lr, positive=True)
    real_number("variance", variance, positive=True)
    gap = real_number("gap", gap, positive=True)
    return gap**2 / effective_diffusion(gap, eps, strength, lr, variance, discretization)


def _mean_power(half: float, eps: float, power: float) -> float:
    """The mean of (d + ε)^power over 0 ≤ d ≤ half."""
    ratio = float(np.log1p(half / eps))
    if power == -1:
        return ratio / half
    return float(np.expm1((power + 1) * ratio) * eps ** (power + 1) / ((power + 1) * half))
