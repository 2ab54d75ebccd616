"""The min-max grid: the largest weight is the outermost level."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.grids.base import UniformRule
from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import real_array


@dataclass(frozen=True)
class MinMaxGrid(UniformRule):
    """Δ = max|w| / (2^(b−1) − 1): the largest weight is the outermost level (restricted range).

    bits 2 … 16. Raises ValueError for other bits and for weights that are not finite. A moving average
    of Δ, as in the official code, is `PSGD(refresh="ema")` for weights and the range "ema" of
    `calibrated` for activations: an average needs a history, and a grid has none.
    Source: the paper, Eq. (8) (numbering from memory), and the official code.
    """

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid of a tensor, taken as a whole."""
        return self.with_range(float(np.abs(real_array("w", w)).max(initial=0.0)))
