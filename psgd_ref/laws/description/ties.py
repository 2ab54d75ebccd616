"""Where a weight goes that is halfway between two levels."""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.laws.description.staircase import Run

EVEN, ODD, UP, DOWN = "even", "odd", "up", "down"
AWAY, TOWARDS, BY_SIGN = "away from zero", "towards zero", "by the sign of the scale"
CODEBOOK, OTHER_CODE, STOCHASTIC = "nearest of the codebook", "not the nearest of its codebook", "by chance"
UNKNOWN = "not found: no tensor with exact ties"
_FLOORS = {"down": "always down (floor)", "up": "always up (ceiling)", "towards": "always towards zero"}


def tie_rule(run: Run, bits: int, dtype: np.dtype) -> str:
    """The rule for ties, tried on tensors that make the step exactly one.

    Such a tensor has an extreme of K, K + ½ or 2^(b−1) steps, K = 2^(b−1) − 1, on one or both sides, and all
    quarters between; that its step is one is seen from the values that come out.
    """
    half = 2.0 ** (bits - 1)
    ends = [(-k, k) for k in (half - 1, half - 0.5, half)] + [(-half, half - 1), (-(half - 1), half)]
    tensors = [_quarters(*pair, dtype, first) for pair in ends for first in (1, -1)]
    # For a scale that is the mean of |w|.
    tensors.append(np.array([0.5, 1.5, -0.5, -1.5, 0.25, 1.75], dtype))
    tried = [_on_tensor(run, w) for w in tensors]
    found = [rule for rule in tried if rule is not None]
    if {UP, DOWN} <= set(found):
        return BY_SIGN
    return found[0] if found else UNKNOWN


def _on_tensor(run: Run, w: Array) -> str | None:
    q = run(w).astype(np.float64)
    if not len(w) or not np.array_equal(q, np.rint(q)):
        return None
    inside = (w > max(w.min(), q.min())) & (w < min(w.max(), q.max()))
    if not inside.any() or np.abs(q - w)[inside].max() >= 1:
        return None
    near = inside & (np.abs(w - np.rint(w)) == 0.25)
    if not np.array_equal(q[near], np.rint(w[near])):
        return _not_nearest(w[near], q[near])
    tie = inside & (np.abs(w - np.floor(w)) == 0.5)
    return _pattern(w[tie], q[tie]) if tie.any() else None


def _quarters(low: float, high: float, dtype: np.dtype, first: int) -> Array:
    """The ends, the upper one first where `first` is 1, then the quarters between; none where low is high."""
    if low >= high:
        return np.zeros(0, dtype)
    between = np.arange(np.ceil(low * 4) / 4, high, 0.25)
    return np.concatenate([[high, low][::first], between[between > low]]).astype(dtype)


def _pattern(w: Array, q: Array) -> str:
    patterns = {
        EVEN: q % 2 == 0,
        AWAY: np.abs(q) > np.abs(w),
        UP: q > w,
        DOWN: q < w,
        TOWARDS: np.abs(q) < np.abs(w),
        ODD: q % 2 == 1,
    }
    return next((name for name, holds in patterns.items() if holds.all()), "mixed")


def _not_nearest(w: Array, q: Array) -> str:
    if (q == np.floor(w)).all():
        return _FLOORS["down"]
    if (q == np.ceil(w)).all():
        return _FLOORS["up"]
    if (q == np.trunc(w)).all():
        return _FLOORS["towards"]
    return "not to the nearest"
