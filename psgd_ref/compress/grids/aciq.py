"""ACIQ: the clipping that is best for a Laplace or Gaussian distribution, in closed form.

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

    α is at most max|w|, and max|w| where all weights are equal: a wider range is of no use.

    Parameters
    ----------
    bits
        M, 2 … 16.
    law
        "laplace" (the official default) or "gauss".

    Raises
    ------
    ValueError
        For other values.
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
    """α*/b = W(3·4^M), W Lambert's function, for M ≥ 0 bits: the minimum of `laplace_error`.

    Source
    ------
    Claim H2.
    """
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
    """Mean squared error of a Gaussian variable (σ = 1) clipped at α.

    (1 + α²)(1 − erf(α/√2)) − √(2/π) α e^(−α²/2) + α²/(3·4^M)
    """
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
    """What α is a multiple of: b = mean|x − mean x| (Laplace), or the standard deviation (Gauss)."""
    if x.size == 0:
        return 0.0
    return float(np.abs(x - x.mean()).mean() if law == "laplace" else x.std())


def half_range_clip(x: Array, bits: int, law: str = "laplace") -> float:
    """Top of the unsigned range of values after a ReLU: max(mean, 0) + α_(M+1)·spread, at most max x.

    All 2^M levels lie on one side, as if there were one more bit.

    Parameters
    ----------
    x
        The values, any shape.
    bits
        M.
    law
        "laplace" or "gauss".

    Returns
    -------
    The top, in the unit of x; 0 when there are no values.

    Source
    ------
    The official code.
    """
    x = real_array("x", x).astype(np.float64)
    if x.size == 0:
        return 0.0
    top = max(float(x.mean()), 0.0) + spread(x, law) * unit_clip(bits + 1, law)
    return min(top, float(x.max()))
