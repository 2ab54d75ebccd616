"""A method against another from the same trunks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """A method against another from the same trunks: mean difference and its interval, in points."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.1f} [{self.low:+.1f}, {self.high:+.1f}]"

    @property
    def gains(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0

    @property
    def loses(self) -> bool:
        """Whether it lies below 0."""
        return self.high < 0


def difference(one: Sequence[float], other: Sequence[float]) -> Difference:
    """Of two or more paired accuracies (0 … 1), with Student's interval at 95 %; of two their range."""
    gaps = 100 * (np.array(one) - np.array(other))
    if len(gaps) < 3:
        return Difference(float(gaps.mean()), float(gaps.min()), float(gaps.max()))
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(gaps) - 1) * gaps.std(ddof=1) / np.sqrt(len(gaps))
    return Difference(float(gaps.mean()), float(gaps.mean() - half), float(gaps.mean() + half))
