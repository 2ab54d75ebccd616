"""Clipping that minimises the quantization error: squared error, or any p-norm of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.grids.base import UniformRule
from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array, real_array, real_number
from psgd_ref.kernels.parts import SMALLEST_STEP

# How many clips each round of a search tries around the best so far; how many weights a p-norm looks at.
CANDIDATES, SAMPLE = (40, 16, 16), 2048


@dataclass(frozen=True)
class MSEGrid(UniformRule):
    """The step Δ that minimises Σ (w − Q(w))², weights beyond the outermost level clipped to it.

    A scan of 40 clipping values from max|w| down, refined twice around the best.

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

    Examples
    --------
    One large weight among many small ones is clipped:

    >>> import psgd_ref as pr
    >>> w = [0.1, -0.2, 0.3] * 100 + [2.0]
    >>> pr.MSEGrid(bits=3).fit(w).step < pr.MinMaxGrid(bits=3).fit(w).step
    True
    """

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid of a tensor, taken as a whole."""
        return self.with_range(best_clip(np.abs(real_array("w", w)), self.levels))


@dataclass(frozen=True)
class PNormGrid(UniformRule):
    """The step Δ that minimises Σ |w − Q(w)|^p: small p clips hard, large p spares the largest weights.

    The scan of `MSEGrid`; a tensor of more than 2,048 weights is represented by the middle ones of as many
    equal groups.

    Parameters
    ----------
    bits
        2 … 16.
    p
        > 0; p = 2 is `MSEGrid`.

    Raises
    ------
    ValueError
        For other values.

    Source
    ------
    Nahshan et al. 2020 (LAPQ), the start of its search, where p is in 2 … 4.
    """

    p: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        real_number("p", self.p, positive=True)

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid of a tensor, taken as a whole."""
        return self.with_range(best_clip(np.abs(real_array("w", w)), self.levels, self.p))


def best_clip(magnitudes: Array, levels: int, p: float = 2.0) -> float:
    """The c that minimises Σ |m − Q(m)|^p over magnitudes m ≥ 0, with Q on {0 … levels}·c/levels.

    Parameters
    ----------
    magnitudes
        m, any shape.
    levels
        How many levels lie above zero.

    Returns
    -------
    At most the largest magnitude; 0 when all are 0 or there are none.
    """
    m = np.sort(magnitudes.ravel().astype(np.float64))
    largest = float(m.max(initial=0.0))
    if largest <= levels * SMALLEST_STEP:
        return largest
    # In units of the largest, so that no power overflows. Running sums need a table of all levels.
    error = (
        _SquaredError(m / largest, levels) if p == 2 and levels < m.size else _Power(m / largest, levels, p)
    )
    low, high, best = 0.0, 1.0, 1.0
    for count in CANDIDATES:
        candidates = np.linspace(high, low, count, endpoint=False)
        best = float(candidates[np.argmin(error(candidates))])
        width = (high - low) / count
        low, high = max(best - width, 0.0), min(best + width, 1.0)
    return best * largest


class _SquaredError:
    """Σ (m − Q)² of any clips on sorted magnitudes, from running sums: a scan costs no pass over them."""

    def __init__(self, magnitudes: Array, levels: int) -> None:
        self.magnitudes, self.levels = magnitudes, levels
        self.first = np.concatenate([[0.0], np.cumsum(magnitudes)])

    def __call__(self, clips: Array) -> Array:
        """Σ Q² − 2 Σ Qm, which is Σ (m − Q)² but for Σ m²; clips (c,), returns (c,).

        A magnitude is at level k when it lies beyond k walls, so that both are sums over the walls:
        Σ Q² = Δ² Σ_k (2k − 1) #{m beyond wall k},   Σ Qm = Δ Σ_k Σ {m beyond wall k}
        """
        step, odd = clips / self.levels, np.arange(1.0, 2 * self.levels, 2)
        walls = np.searchsorted(self.magnitudes, np.multiply.outer(step, odd / 2))
        count, total = self.magnitudes.size - walls, self.first[-1] - self.first[walls]
        return np.asarray(step * (step * (count @ odd) - 2 * total.sum(1)))


class _Power:
    """Σ |m − Q|^p of any clips on sorted magnitudes, or on the middle ones of as many equal groups."""

    def __init__(self, magnitudes: Array, levels: int, p: float) -> None:
        count = min(magnitudes.size, SAMPLE)
        middle = ((np.arange(count) + 0.5) * (magnitudes.size / count)).astype(np.intp)
        # Single precision: powers are what a scan spends its time on, and the best clip is a flat minimum.
        self.magnitudes, self.levels, self.p = magnitudes[middle].astype(np.float32), levels, p

    def __call__(self, clips: Array) -> Array:
        """clips (c,), returns (c,)."""
        step = (clips[:, None] / self.levels).astype(np.float32)
        error = np.abs(self.magnitudes - np.minimum(np.rint(self.magnitudes / step), self.levels) * step)
        return np.asarray((error**self.p).sum(1, dtype=np.float64))
