"""A grid with a widened cell at zero, so that weights cluster for pruning and quantization at once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.grids.base import UniformRule
from psgd_ref.compress.grids.min_max import MinMaxGrid
from psgd_ref.core import FiniteTargets
from psgd_ref.core.arguments import real_array, real_number


@dataclass(frozen=True)
class WideZeroGrid(UniformRule):
    """The min-max grid without its levels next to zero: 0, ±rΔ, ±(r+1)Δ, …, ±max|w|.

    Δ = max|w|/K,   K = 2^(bits−1) − 1,   r = max(1, rint(2K·reach)) ≤ K

    PSGD towards it draws small weights to 0 and large ones to levels of the min-max grid of as many bits:
    one training run for pruning and for quantization on the usual grid.

    Parameters
    ----------
    bits
        2 … 16.
    reach
        How far zero's cell reaches, as a fraction of max|w|, 0 … 0.5; the cell ends at rΔ/2. 0 is the
        min-max grid, 0.5 leaves three targets, at any number of bits.

    Raises
    ------
    ValueError
        For other values.

    Source
    ------
    Ours.
    """

    reach: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if real_number("reach", self.reach) > 0.5:
            raise ValueError(f"reach must be a number in [0, 0.5]; got {self.reach!r}")

    @property
    def first(self) -> int:
        """r, the least positive level that is kept."""
        return min(self.levels, max(1, round(2 * self.levels * self.reach)))

    def fit(self, w: npt.ArrayLike) -> FiniteTargets:
        """The targets of a tensor, taken as a whole."""
        step = MinMaxGrid(self.bits).fit(real_array("w", w)).step
        positive = np.arange(self.first, self.levels + 1) * step
        return FiniteTargets(np.concatenate([-positive[::-1], [0.0], positive]))
