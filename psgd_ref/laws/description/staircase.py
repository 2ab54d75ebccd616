"""Levels and step of a quantizer, read off what it makes of a tensor."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from psgd_ref.core.arguments import Array

# How a bare tensor (n,) is quantized, as values.
Run = Callable[[Array], Array]


@dataclass(frozen=True)
class Staircase:
    """The values that Q gives to one tensor.

    Parameters
    ----------
    levels
        Rising, shape (m,); values that differ by rounding alone are one.
    step
        The spacing of which all gaps are multiples; None where there is none, or a single level.
    even
        Whether all gaps are that step, up to a few that are missing.
    """

    levels: Array
    step: float | None
    even: bool

    @property
    def codes(self) -> Array | None:
        """The levels in steps, whole numbers where zero is one of them; None without a step."""
        return None if self.step is None else self.levels / self.step

    @classmethod
    def of(cls, values: Array) -> "Staircase":
        """Of the values Q(w), NaN and infinity left out."""
        found = np.unique(values[np.isfinite(values)].astype(np.float64))
        if len(found) == 0:
            return cls(found, None, False)
        apart = 1e-5 * (found[-1] - found[0]) / max(len(found), 16)
        levels = found[np.concatenate([[True], np.diff(found) > apart])]
        if len(levels) < 2:
            return cls(levels, None, False)
        gaps = np.diff(levels)
        count = np.rint((levels[-1] - levels[0]) / gaps.min())
        step = float((levels[-1] - levels[0]) / count)
        places = (levels - levels[0]) / step
        if np.abs(places - np.rint(places)).max() > 0.01:
            return cls(levels, None, False)
        return cls(levels, step, bool(np.mean(np.rint(gaps / step) == 1) > 0.75))


def ramp(low: float, high: float, size: int, dtype: np.dtype) -> Array:
    """Evenly spaced weights with both ends, in an order that is none."""
    w = np.linspace(low, high, size)
    return np.random.default_rng(1).permutation(w).astype(dtype)
