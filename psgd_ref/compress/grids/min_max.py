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

    A moving average of Δ, as in the official code, is `PSGD(refresh="ema")` for weights and the range "ema"
    of `calibrated` for activations: an average needs a history, and a grid has none.

    Parameters
    ----------
    bits
        2 … 16.
    per_channel
        Fit each output channel (last axis) by itself instead of the whole tensor.

    Raises
    ------
    ValueError
        For other bits, and when fitted to weights that are not finite.

    Source
    ------
    The paper, Eq. (8) (numbering from memory), and the official code.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> pr.MinMaxGrid(bits=3).fit([0.75, -0.25, 0.5])
    UniformGrid(step=0.25, levels=3)
    """

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid of a tensor, taken as a whole."""
        return self.with_range(float(np.abs(real_array("w", w)).max(initial=0.0)))
