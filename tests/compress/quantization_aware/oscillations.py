"""A count of oscillating integers, to measure what dampening does."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array


class Oscillations:
    """How often each weight's integer turns back: f ← m o + (1 − m) f, o = 1 when a change undoes the last.

    momentum : m in (0, 1].   Source: Nagel et al. 2022, where m = 0.01 and f > 0.005 counts as oscillating.
    """

    def __init__(self, codes: npt.NDArray[np.integer], momentum: float = 0.01) -> None:
        self.codes, self.momentum = codes.astype(np.int64), momentum
        self.direction = np.zeros(codes.shape, np.int64)
        self.frequency: Array = np.zeros(codes.shape)

    def update(self, codes: npt.NDArray[np.integer]) -> None:
        """Note the integers after a step."""
        change = np.sign(codes.astype(np.int64) - self.codes)
        turned = (change != 0) & (self.direction == -change)
        self.frequency += self.momentum * (turned - self.frequency)
        self.direction = np.where(change != 0, change, self.direction)
        self.codes = codes.astype(np.int64)

    def fraction(self, threshold: float = 0.005) -> float:
        """Fraction of weights that oscillate, 0 … 1."""
        return float((self.frequency > threshold).mean())
