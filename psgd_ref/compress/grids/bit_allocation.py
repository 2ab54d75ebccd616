"""ACIQ's bit allocation: channels of one tensor with as many bits as their range asks for.

Source: Banner, Nahshan, Soudry 2019, and its official code.
"""

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.grids.aciq import ACIQGrid, spread
from psgd_ref.core.arguments import Array, real_array, whole_number


def allocated_grids(w: npt.ArrayLike, bits: int, law: str = "laplace") -> list[ACIQGrid]:
    """One grid for each output channel (last axis) of w, with bits by `allocate_bits` and its spread.

    For `quantize_tensor` and, by parameter name, for `QuantizedModel`.

    Parameters
    ----------
    w
        Weights, at least two axes.
    bits
        On average over the channels.
    law
        As in `ACIQGrid`.

    Raises
    ------
    ValueError
        For a vector.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.outer([-1.0, 0.0, 1.0], [1.0, 8.0])
    >>> [grid.bits for grid in allocated_grids(w, bits=3)]
    [2, 4]
    """
    w = real_array("w", w)
    if w.ndim < 2:
        raise ValueError(f"w must have channels as its last of two or more axes; got shape {w.shape}")
    spreads = [spread(w[..., channel].astype(np.float64), law) for channel in range(w.shape[-1])]
    return [ACIQGrid(int(width), law=law) for width in allocate_bits(spreads, bits)]


def allocate_bits(clips: npt.ArrayLike, bits: int, low: int = 2, high: int = 8) -> npt.NDArray[np.intp]:
    """Bits of each channel, `bits` on average, more where the range is wide.

    A channel gets round(log₂ B_i), B_i = B α_i^(2/3) / Σ α_j^(2/3); the total B is found by bisection, as
    in the official code (whose low is 0; a symmetric grid with zero needs 2). The mean is the largest that
    does not exceed `bits`.

    Parameters
    ----------
    clips
        α of each channel, (C,), ≥ 0.
    bits
        In low … high.
    low, high
        Between which each channel's result lies, too.

    Returns
    -------
    (C,)

    Raises
    ------
    ValueError
        For other values.
    """
    clips = real_array("clips", clips)
    if clips.ndim != 1 or clips.size == 0 or (clips < 0).any():
        raise ValueError(f"clips must be one-dimensional, not empty and >= 0; got shape {clips.shape}")
    quota = whole_number("bits", bits, low, high)
    few, many = np.log2(clips.size) - 64, np.log2(clips.size) + 64
    for _ in range(64):
        middle = (few + many) / 2
        within = _bits(clips, 2.0**middle, low, high).mean() <= quota
        few, many = (middle, many) if within else (few, middle)
    return _bits(clips, 2.0**few, low, high)


def optimal_bins(clips: npt.ArrayLike, total: float) -> Array:
    """B_i = B α_i^(2/3) / Σ α_j^(2/3): how many of B levels each channel should have."""
    fraction = real_array("clips", clips).astype(np.float64) ** (2 / 3)
    return np.asarray(
        total * (fraction / fraction.sum() if fraction.any() else np.full(fraction.shape, 1 / fraction.size))
    )


def _bits(clips: Array, total: float, low: int, high: int) -> npt.NDArray[np.intp]:
    with np.errstate(divide="ignore"):
        wanted = np.log2(optimal_bins(clips, total))
    return np.clip(np.rint(np.maximum(wanted, low)), low, high).astype(np.intp)
