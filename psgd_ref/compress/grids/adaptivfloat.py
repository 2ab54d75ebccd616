"""AdaptivFloat: a small floating-point format whose exponents follow the largest weight of each tensor.

Source: Tambe et al. 2019 (arXiv 1909.13271), and its official code.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.core import FiniteTargets
from psgd_ref.core.arguments import Array, choice, real_array, whole_number

VARIANTS = ("paper", "released")
# Exponents below this would leave float32's normal numbers.
SMALLEST_EXPONENT = -90


@dataclass(frozen=True)
class AdaptivFloatGrid:
    """The values of AdaptivFloat⟨n, e⟩: a sign, e exponent bits, m = n − 1 − e mantissa bits.

    largest exponent E = ⌊log₂ max|w|⌋;   values 0 and ±2^(E − 2^e + 1 + i)(1 + k/2^m), 0 ≤ i < 2^e,
    0 ≤ k < 2^m, but for the smallest magnitude (i = k = 0), whose code stands for zero

    A weight goes to the nearest value (ties to the even code).

    Parameters
    ----------
    bits
        n, 2 … 16.
    exponent_bits
        e, 1 … min(n − 1, 5); by default ⌈n/2⌉ but at most 3 (⟨4, 2⟩ and ⟨8, 3⟩ are the paper's).
    variant
        "paper", or "released": the later PyTorch code, whose two smallest binades are missing and whose
        zero has a code beside (e ≥ 2). That code also sends every magnitude below the smallest to zero,
        where a target set takes the nearer of the two.

    Raises
    ------
    ValueError
        For other values.
    """

    bits: int
    per_channel: bool = False
    exponent_bits: int | None = None
    variant: str = "paper"

    def __post_init__(self) -> None:
        magnitudes(self.bits, self.exponent_width, 0, self.variant)

    @property
    def exponent_width(self) -> int:
        """e, given or by default."""
        if self.exponent_bits is None:
            return min(-(-whole_number("bits", self.bits, 2, 16) // 2), 3)
        return self.exponent_bits

    def fit(self, w: npt.ArrayLike) -> FiniteTargets:
        """The values for a tensor, taken as a whole."""
        largest = float(np.abs(real_array("w", w)).max(initial=0.0))
        # frexp is exact where a logarithm rounds: largest = mantissa · 2^exponent, mantissa in [1/2, 1).
        top = int(np.frexp(largest)[1]) - 1 if largest > 0 else 0
        positive = magnitudes(self.bits, self.exponent_width, max(top, SMALLEST_EXPONENT), self.variant)
        return FiniteTargets(np.concatenate([-positive[:0:-1], positive]))


def magnitudes(bits: int, exponent_bits: int, top: int, variant: str = "paper") -> Array:
    """The magnitudes of AdaptivFloat⟨n, e⟩ with largest exponent `top`, rising from 0.

    Parameters
    ----------
    bits, exponent_bits, variant
        As in `AdaptivFloatGrid`.
    top
        The largest exponent.

    Returns
    -------
    (2^(n−1),)

    Source
    ------
    Claim H2.
    """
    n = whole_number("bits", bits, 2, 16)
    least = 2 if choice("variant", variant, VARIANTS) == "released" else 1
    if n - 1 < least:
        raise ValueError(f"variant 'released' needs at least 3 bits; got {n}")
    e = whole_number("exponent_bits", exponent_bits, least, min(n - 1, 5))
    mantissas = 1 + np.arange(2 ** (n - 1 - e)) / 2 ** (n - 1 - e)
    exponents = np.arange(top - 2**e + (1 if least == 1 else 3), top + 1)
    values = (2.0 ** exponents[:, None] * mantissas).ravel()
    return np.concatenate([[0.0], values[1:] if least == 1 else values])
