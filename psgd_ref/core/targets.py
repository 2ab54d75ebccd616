"""Target sets T: the values that weights are drawn to, and which of them is nearest.

A target set is a strictly increasing sequence t_i. Position i names a target; the set knows the
nearest position to a weight, the value at a position and the gap to the neighbour on either side.
That is all a warp needs, so any sorted set will do: a lattice, a short grid, zero alone, or the
uneven values of a floating-point format.

Ties: a weight halfway between two targets belongs to the one at an even position. On a uniform grid this is
rounding half to even.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array, offers, real_array, real_number, whole_number


class Targets(Protocol):
    """What `Warp` asks of a target set. Positions are counted from the target nearest to zero."""

    def position(self, w: npt.ArrayLike) -> Array:
        """Position of the target nearest to each weight."""
        ...

    def value(self, position: Array) -> Array:
        """The target at each position."""
        ...

    def gap(self, position: Array, side: Array) -> Array:
        """Distance from each target to its neighbour above (side > 0) or below; inf if none."""
        ...

    def respaced(self, length: Callable[[Array], Array]) -> "Targets":
        """The set with the same positions, every gap Δ replaced by length(Δ) and 0 kept at position 0."""
        ...

    def nearest(self, w: npt.ArrayLike) -> Array:
        """w̄, the nearest target to each weight."""
        ...

    def mean_gap(self) -> float:
        """Average gap; inf when there is one target only."""
        ...


def target_set(value: Any) -> Targets:
    """Return `value` when it does what a target set does; ValueError for anything else."""
    methods = ("position", "value", "gap", "respaced", "nearest", "mean_gap")
    offers("targets", value, methods, "a target set, such as UniformGrid(0.1, 7) or Zero()")
    return cast(Targets, value)


@dataclass(frozen=True)
class Zero:
    """The single target 0, for pruning. Source: the paper, section on pruning; claim G1."""

    def position(self, w: npt.ArrayLike) -> Array:
        return np.zeros_like(real_array("w", w))

    def value(self, position: Array) -> Array:
        return np.zeros_like(position)

    def gap(self, position: Array, side: Array) -> Array:
        return np.full_like(position, np.inf)

    def respaced(self, length: Callable[[Array], Array]) -> "Zero":
        return self

    def nearest(self, w: npt.ArrayLike) -> Array:
        return self.value(self.position(w))

    def mean_gap(self) -> float:
        return float("inf")


@dataclass(frozen=True)
class UniformGrid:
    """The grid {−levels, …, levels}·step, or the whole lattice step·ℤ when `levels` is None.

    Parameters
    ----------
    step
        Δ > 0, in the unit of the weights.
    levels
        Number of targets on either side of zero, ≥ 1; 2^(b−1)−1 for b bits in restricted range.

    Raises
    ------
    ValueError
        For a step that is not positive and finite, or levels < 1.

    Source
    ------
    The paper, Eq. (8) (numbering from memory).

    Examples
    --------
    >>> UniformGrid(0.5, levels=1).nearest([0.2, 0.25, 0.3, 7.0])  # ties to even
    array([0. , 0. , 0.5, 0.5])
    """

    step: float
    levels: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", real_number("step", self.step, positive=True))
        if self.levels is not None:
            object.__setattr__(self, "levels", whole_number("levels", self.levels, 1))

    def position(self, w: npt.ArrayLike) -> Array:
        w = real_array("w", w)
        with np.errstate(over="ignore"):
            k = np.rint(w / self.step)
        if self.levels is not None:
            return np.asarray(np.clip(k, -self.levels, self.levels))
        if not np.isfinite(k).all():
            raise ValueError(f"w / step must be finite in {w.dtype}; step is {self.step!r}")
        return np.asarray(k)

    def value(self, position: Array) -> Array:
        return position * self.step

    def gap(self, position: Array, side: Array) -> Array:
        gap = np.full_like(position, self.step)
        if self.levels is not None:
            gap = np.where(position * np.sign(side) >= self.levels, np.inf, gap)
        return gap.astype(position.dtype)

    def respaced(self, length: Callable[[Array], Array]) -> "UniformGrid":
        return UniformGrid(float(length(np.asarray(self.step))), self.levels)

    def nearest(self, w: npt.ArrayLike) -> Array:
        return self.value(self.position(w))

    def mean_gap(self) -> float:
        return self.step


@dataclass(frozen=True, eq=False)
class FiniteTargets:
    """Any finite set of targets, evenly spaced or not.

    Parameters
    ----------
    values
        Strictly increasing finite numbers, shape (m,), m ≥ 1.

    Raises
    ------
    ValueError
        When they are unsorted, repeated, not finite or not one-dimensional.

    Examples
    --------
    >>> FiniteTargets([-1.0, 0.0, 0.25]).nearest([-0.6, 0.2])
    array([-1.  ,  0.25])
    """

    values: Array

    def __post_init__(self) -> None:
        values = real_array("values", self.values)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"values must be one-dimensional and not empty; got shape {values.shape}")
        if (np.diff(values) <= 0).any():
            raise ValueError("values must be strictly increasing; got unsorted or repeated targets")
        values = values.astype(np.float64)
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FiniteTargets) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash(self.values.tobytes())

    @property
    def origin(self) -> int:
        """Index in `values` of the target nearest to zero (the lower one of two): position 0."""
        return int(np.argmin(np.abs(self.values)))

    def position(self, w: npt.ArrayLike) -> Array:
        w = real_array("w", w)
        walls = self.values[:-1] + np.diff(self.values) / 2
        below, above = np.searchsorted(walls, w, "left"), np.searchsorted(walls, w, "right")
        # The two searches differ only on a wall: there the even position of the two is taken.
        index = np.where((below - self.origin) % 2 == 0, below, above)
        return (index - self.origin).astype(w.dtype)

    def value(self, position: Array) -> Array:
        return self.values[position.astype(np.intp) + self.origin].astype(position.dtype)

    def gap(self, position: Array, side: Array) -> Array:
        gaps = np.concatenate([[np.inf], np.diff(self.values), [np.inf]])
        index = position.astype(np.intp) + self.origin + (np.asarray(side) > 0)
        return gaps[index].astype(position.dtype)

    def respaced(self, length: Callable[[Array], Array]) -> "FiniteTargets":
        values = np.concatenate([[0.0], np.cumsum(length(np.diff(self.values)))])
        return FiniteTargets(values - values[self.origin])

    def nearest(self, w: npt.ArrayLike) -> Array:
        return self.value(self.position(w))

    def mean_gap(self) -> float:
        return float(np.diff(self.values).mean()) if self.values.size > 1 else float("inf")
