"""Floor or ceil: the choice that PSGD's flow makes for every weight, solved outright on small problems.

With a fixed grid and ε = 0 the flow keeps each weight between its two neighbouring targets (claim D6), and
for a convex loss it ends at the minimum over that box. AdaRound (Nagel et al. 2020) looks for the best
corner of the same box. All losses here are quadratic, ½ (x − x*)ᵀ H (x − x*).
"""

from itertools import product

import numpy as np

from psgd_ref.core import Targets
from psgd_ref.core.arguments import Array, real_array
from psgd_ref.core.barrier import target_interval

LARGEST_EXHAUSTIVE = 16
SWEEPS = 2_000


def quadratic_loss(x: Array, minimiser: Array, curvature: Array) -> Array:
    """½ (x − x*)ᵀ H (x − x*) of vectors x (…, n); H (n, n) symmetric. Returns shape (…)."""
    offset = x - minimiser
    return np.asarray(0.5 * np.einsum("...i,ij,...j->...", offset, curvature, offset))


def layer_curvature(inputs: Array) -> Array:
    """H = E[x xᵀ] of a linear layer's inputs (N, n): the loss is half the squared error at one output."""
    inputs = real_array("inputs", inputs)
    return np.asarray(inputs.T @ inputs / len(inputs))


def box_minimum(minimiser: Array, curvature: Array, low: Array, high: Array) -> Array:
    """argmin of the quadratic over low ≤ x ≤ high, (n,): where PSGD's flow ends (claim D6).

    One coordinate after the other to its minimum in the box, until none moves; H positive definite.
    Raises ValueError for another H.
    """
    _positive(curvature)
    x = np.clip(minimiser, low, high).astype(np.float64)
    for _ in range(SWEEPS):
        before = x.copy()
        for i in range(x.size):
            slope = curvature[i] @ (x - minimiser)
            x[i] = np.clip(x[i] - slope / curvature[i, i], low[i], high[i])
        if np.array_equal(x, before):
            break
    return x


def floor_or_ceil(w: Array, targets: Targets, curvature: Array, minimiser: Array | None = None) -> Array:
    """Round each weight to one of its two neighbouring targets so that no single other choice is better.

    w (n,); starts at the nearest targets and flips one weight at a time, each time the one that lowers
    the loss most. minimiser : x*, by default w itself. A local optimum: `best_rounding` finds the global
    one. Raises ValueError for an H with a diagonal that is not positive.
    """
    w = real_array("w", w).astype(np.float64)
    _positive(curvature)
    aim = w if minimiser is None else minimiser
    low, high = neighbours(w, targets)
    x = targets.nearest(w)
    while x.size:
        other = np.where(x == low, high, low)
        change = other - x
        gain = change * (curvature @ (x - aim)) + change**2 * np.diag(curvature) / 2
        best = int(np.argmin(gain))
        if gain[best] >= -1e-12 * (1 + abs(float(quadratic_loss(x, aim, curvature)))):
            break
        x[best] = other[best]
    return x


def best_rounding(w: Array, targets: Targets, curvature: Array, minimiser: Array | None = None) -> Array:
    """The best of all 2^n ways to round n ≤ 16 weights down or up to a neighbouring target.

    Arguments as in `floor_or_ceil`. Raises ValueError for more weights.
    """
    w = real_array("w", w).astype(np.float64)
    if w.size > LARGEST_EXHAUSTIVE:
        raise ValueError(f"w must have at most {LARGEST_EXHAUSTIVE} entries to try all; got {w.size}")
    low, high = neighbours(w, targets)
    corners = np.array(list(product((False, True), repeat=w.size)))
    x = np.where(corners, high, low)
    return np.asarray(x[np.argmin(quadratic_loss(x, w if minimiser is None else minimiser, curvature))])


def neighbours(w: Array, targets: Targets) -> tuple[Array, Array]:
    """The two targets on either side of each weight; the outermost one twice for a weight beyond it."""
    low, high = target_interval(w, targets)
    nearest = targets.nearest(w)
    return np.where(np.isinf(low), nearest, low), np.where(np.isinf(high), nearest, high)


def _positive(curvature: Array) -> None:
    if not (np.diag(curvature) > 0).all():
        raise ValueError("curvature must have a positive diagonal; got entries <= 0 on it")
