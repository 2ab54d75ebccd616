"""Grids: rules that choose the targets of a tensor from its values."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from psgd_ref.core import Targets, UniformGrid
from psgd_ref.core.arguments import Array, real_array, whole_number

# Below this no step is chosen, so that w/Δ and 8/Δ stay finite in float32.
SMALLEST_STEP = 1e-30


class Grid(Protocol):
    """A rule that fits targets of a given number of bits to a tensor."""

    @property
    def bits(self) -> int | None:
        """Number of bits, or None when the targets are fixed."""
        ...

    @property
    def per_channel(self) -> bool:
        """Whether every output channel (last axis) gets targets of its own."""
        ...

    def fit(self, w: npt.ArrayLike) -> Targets:
        """The targets for these values, taken together."""
        ...


@dataclass(frozen=True)
class _UniformRule:
    """What grids with evenly spaced levels share; levels are ±(2^(bits−1) − 1) and all between.

    bits        : 2 … 16
    per_channel : fit each output channel (last axis) by itself instead of the whole tensor
    """

    bits: int
    per_channel: bool = False

    def __post_init__(self) -> None:
        whole_number("bits", self.bits, 2, 16)

    @property
    def levels(self) -> int:
        return int(2 ** (self.bits - 1) - 1)

    def with_range(self, largest: float) -> UniformGrid:
        """The grid whose outermost level is `largest`; a step of 1 when that is 0."""
        step = max(largest / self.levels, SMALLEST_STEP) if largest > 0 else 1.0
        return UniformGrid(step, self.levels)


@dataclass(frozen=True)
class MinMaxGrid(_UniformRule):
    """Δ = max|w| / (2^(b−1) − 1): the largest weight is the outermost level (restricted range).

    bits 2 … 16. Raises ValueError for other bits and for weights that are not finite.
    Source: the paper, Eq. (8) (numbering from memory), and the official code.
    """

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid of a tensor, taken as a whole."""
        return self.with_range(float(np.abs(real_array("w", w)).max(initial=0.0)))


@dataclass(frozen=True)
class MSEGrid(_UniformRule):
    """The step Δ that makes Σ (w − Q(w))² least, weights beyond the outermost level clipped to it.

    bits 2 … 16. A scan of 100 clipping values from max|w| down, refined twice around the best.
    Raises ValueError for other bits and for weights that are not finite.
    """

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid of a tensor, taken as a whole."""
        magnitudes = np.sort(np.abs(real_array("w", w)).ravel().astype(np.float64))
        largest = float(magnitudes.max(initial=0.0))
        if largest <= self.levels * SMALLEST_STEP:
            return self.with_range(largest)
        sums = _Sums(magnitudes, self.levels)
        low, high = 0.0, largest
        best = largest
        for _ in range(3):
            candidates = np.linspace(high, low, 100, endpoint=False)
            best = float(candidates[np.argmin([sums.squared_error(c) for c in candidates])])
            width = (high - low) / 100
            low, high = max(best - width, 0.0), min(best + width, largest)
        return self.with_range(best)


class _Sums:
    """Squared error of any symmetric uniform grid on sorted magnitudes, from running sums."""

    def __init__(self, magnitudes: Array, levels: int) -> None:
        self.magnitudes, self.levels = magnitudes, levels
        self.first = np.concatenate([[0.0], np.cumsum(magnitudes)])
        self.second = float(np.sum(magnitudes**2))

    def squared_error(self, largest: float) -> float:
        """Σ (|w| − Q)² = Σ w² − 2 Σ Q|w| + Σ Q², cell by cell."""
        level = np.arange(self.levels + 1) * (largest / self.levels)
        walls = np.searchsorted(self.magnitudes, (level[1:] + level[:-1]) / 2)
        edge = np.concatenate([[0], walls, [self.magnitudes.size]])
        inside, count = np.diff(self.first[edge]), np.diff(edge)
        return float(self.second - 2 * level @ inside + level**2 @ count)


@dataclass(frozen=True)
class FixedTargets:
    """The same targets for every tensor, such as `Zero()` for pruning."""

    targets: Targets
    bits: None = None
    per_channel: bool = False

    def fit(self, w: npt.ArrayLike) -> Targets:
        """The fixed targets, whatever the values."""
        return self.targets


def as_grid(rule: Grid | Targets) -> Grid:
    """The rule itself, or fixed targets as a rule."""
    return cast(Grid, rule) if hasattr(rule, "fit") else FixedTargets(rule)


def with_bits(grid: Grid, bits: int) -> Grid:
    """The same rule for another number of bits."""
    return dataclasses.replace(grid, bits=bits)  # type: ignore[type-var]


def pieces(w: Array, per_channel: bool) -> Iterator[Array]:
    """The parts of a tensor that each get targets of their own, as views: itself, or its channels."""
    if not per_channel or w.ndim < 2:
        yield w
        return
    for channel in range(w.shape[-1]):
        yield w[..., channel]
