"""ACIQ: the clipping that is best for a Laplace or Gauss law, in closed form.

Source: Banner, Nahshan, Soudry 2019, and its official code.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from psgd_ref.compress.grids.base import UniformRule
from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array, choice, real_array, whole_number

LAWS = ("laplace", "gauss")


@dataclass(frozen=True)
class ACIQGrid(UniformRule):
    """Outermost level α = b·W(3·4^M), b = mean|w − mean w| (Laplace), or α_M·sd(w) (Gauss), M bits.

    bits 2 … 16; law "laplace" (the official default) or "gauss". α is at most max|w|, and max|w| where
    all weights are equal: a wider range serves nobody. Raises ValueError for other values.
    """

    law: str = "laplace"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("law", self.law, LAWS)

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid of a tensor, taken as a whole."""
        w = real_array("w", w).astype(np.float64)
        largest = float(np.abs(w).max(initial=0.0))
        clip = spread(w, self.law) * unit_clip(self.bits, self.law)
        return self.with_range(min(clip, largest) or largest)


def laplace_clip(bits: int) -> float:
    """α*/b = W(3·4^M), W Lambert's function, for M ≥ 0 bits: the minimum of `laplace_error`; claim H2."""
    return float(scipy.special.lambertw(3 * 4.0 ** whole_number("bits", bits, 0, 64)).real)


def gauss_clip(bits: int) -> float:
    """α*/σ for M ≥ 1 bits: the root of the derivative of `gauss_error`."""
    omega = 3 * 4.0 ** whole_number("bits", bits, 1, 32)

    def slope(a: float) -> float:
        tails = a * scipy.special.erfc(a / np.sqrt(2)) - np.sqrt(2 / np.pi) * np.exp(-a * a / 2)
        return float(tails + a / omega)

    return float(scipy.optimize.brentq(slope, 0.5, 16.0, xtol=1e-12))


def laplace_error(alpha: npt.ArrayLike, bits: int) -> Array:
    """Mean squared error of a Laplace variable (b = 1) clipped at α: 2e^(−α) + α²/(3·4^M)."""
    a = real_array("alpha", alpha)
    return np.asarray(2 * np.exp(-a) + a * a / (3 * 4.0**bits))


def gauss_error(alpha: npt.ArrayLike, bits: int) -> Array:
    """The same for a Gauss variable (σ = 1): (1 + α²)(1 − erf(α/√2)) − √(2/π) α e^(−α²/2) + α²/(3·4^M)."""
    a = real_array("alpha", alpha)
    tails = (1 + a * a) * (1 - scipy.special.erf(a / np.sqrt(2))) - np.sqrt(2 / np.pi) * a * np.exp(
        -a * a / 2
    )
    return np.asarray(tails + a * a / (3 * 4.0**bits))


def unit_clip(bits: int, law: str = "laplace") -> float:
    """`laplace_clip` or `gauss_clip`, by name."""
    laws: dict[str, Callable[[int], float]] = {"laplace": laplace_clip, "gauss": gauss_clip}
    return laws[choice("law", law, LAWS)](bits)


def spread(x: Array, law: str = "laplace") -> float:
    """What α is a multiple of: b = mean|x − mean x| of a Laplace law, or the deviation of a Gauss law."""
    if x.size == 0:
        return 0.0
    return float(np.abs(x - x.mean()).mean() if law == "laplace" else x.std())


def half_range_clip(x: Array, bits: int, law: str = "laplace") -> float:
    """Top of the unsigned range of values behind a ReLU: max(mean, 0) + α_(M+1)·spread, at most max x.

    All 2^M levels lie on one side, as if there were one bit more. Source: the official code.
    """
    x = real_array("x", x).astype(np.float64)
    if x.size == 0:
        return 0.0
    top = max(float(x.mean()), 0.0) + spread(x, law) * unit_clip(bits + 1, law)
    return min(top, float(x.max()))


def allocate_bits(clips: npt.ArrayLike, bits: int, low: int = 2, high: int = 8) -> npt.NDArray[np.intp]:
    """Bits of each channel, `bits` on average, more where the range is wide.

    clips : α of each channel, (C,), ≥ 0; bits in low … high, and so is each channel's result
    A channel gets round(log₂ B_i), B_i = B α_i^(2/3) / Σ α_j^(2/3); the total B is found by bisection, as
    in the official code (whose low is 0; a symmetric grid with zero needs 2). The mean is the largest
    that does not exceed `bits`. Raises ValueError for other values.
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


def allocated_grids(w: npt.ArrayLike, bits: int, law: str = "laplace") -> list[ACIQGrid]:
    """One grid for each output channel (last axis) of w, with bits by `allocate_bits` and its spread.

    For `quantize_tensor` and, by parameter name, for `QuantizedModel`. Raises ValueError for a vector.
    """
    w = real_array("w", w)
    if w.ndim < 2:
        raise ValueError(f"w must have channels as its last of two or more axes; got shape {w.shape}")
    spreads = [spread(w[..., channel].astype(np.float64), law) for channel in range(w.shape[-1])]
    return [ACIQGrid(int(width), law=law) for width in allocate_bits(spreads, bits)]


def optimal_bins(clips: npt.ArrayLike, total: float) -> Array:
    """B_i = B α_i^(2/3) / Σ α_j^(2/3): how many of B levels each channel should have."""
    share = real_array("clips", clips).astype(np.float64) ** (2 / 3)
    return np.asarray(total * (share / share.sum() if share.any() else np.full(share.shape, 1 / share.size)))


def _bits(clips: Array, total: float, low: int, high: int) -> npt.NDArray[np.intp]:
    with np.errstate(divide="ignore"):
        wanted = np.log2(optimal_bins(clips, total))
    return np.clip(np.rint(np.maximum(wanted, low)), low, high).astype(np.intp)
