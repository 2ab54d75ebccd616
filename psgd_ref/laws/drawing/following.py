"""The grid that follows the weights: the max-range rule as a function of the weights alone."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import real_array, whole_number
from psgd_ref.core.targets import UniformGrid


def max_range_grid(w: npt.ArrayLike, levels: int) -> UniformGrid:
    """The uniform grid whose outermost targets are ± the largest weight: Δ = max|w|/levels.

    Parameters
    ----------
    levels
        Targets on either side of zero, 2^(b−1) − 1 for b bits.

    Raises
    ------
    ValueError
        Where all weights are 0.

    Source
    ------
    The paper, section on quantization; claims D9, I2.

    Examples
    --------
    >>> max_range_grid([0.2, -1.5], 3)
    UniformGrid(step=0.5, levels=3)
    """
    w = real_array("w", w)
    top = float(np.abs(w).max(initial=0.0))
    if top == 0:
        raise ValueError("w must hold a weight other than 0 to give a grid its range")
    return UniformGrid(top / whole_number("levels", levels, 1), levels)
