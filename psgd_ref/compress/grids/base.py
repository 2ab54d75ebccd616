"""What a grid is: a rule that chooses the targets of a tensor from its values."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy.typing as npt

from psgd_ref.core import Targets, UniformGrid
from psgd_ref.core.arguments import Array, flag, real_number, whole_number
from psgd_ref.core.targets import target_set
from psgd_ref.kernels.parts import SMALLEST_STEP

# The weight of a new value in a moving average of a range or of its Δ, as in the official code.
EMA_WEIGHT = 0.1


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


def check_rule(grid: Any) -> None:
    """Raise ValueError unless `grid` makes a grid of bits that are given beside it: a class, no instance."""
    if not callable(grid):
        raise ValueError(f"grid must be a rule such as MSEGrid, beside whose bits it stands; got {grid!r}")


@dataclass(frozen=True)
class UniformRule:
    """What grids with evenly spaced levels share; levels are ±(2^(bits−1) − 1) and all between.

    Parameters
    ----------
    bits
        2 … 16.
    per_channel
        Fit each output channel (last axis) by itself instead of the whole tensor.
    """

    bits: int
    per_channel: bool = False

    def __post_init__(self) -> None:
        whole_number("bits", self.bits, 2, 16)
        flag("per_channel", self.per_channel)

    @property
    def levels(self) -> int:
        return int(2 ** (self.bits - 1) - 1)

    def with_range(self, largest: float) -> UniformGrid:
        """The grid whose outermost level is `largest`; a step of 1 when that is 0."""
        step = max(largest / self.levels, SMALLEST_STEP) if largest > 0 else 1.0
        return UniformGrid(step, self.levels)


@dataclass(frozen=True)
class ClipGrid(UniformRule):
    """The grid whose outermost level is `clip`, whatever the values: one that was chosen elsewhere.

    Parameters
    ----------
    bits
        2 … 16.
    clip
        ≥ 0, in the unit of the weights.

    Raises
    ------
    ValueError
        For other values.
    """

    clip: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        real_number("clip", self.clip)

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid, without a look at the values."""
        return self.with_range(self.clip)


@dataclass(frozen=True)
class FixedTargets:
    """The same targets for every tensor, such as `Zero()` for pruning."""

    targets: Targets
    bits: None = None
    per_channel: bool = False

    def __post_init__(self) -> None:
        target_set(self.targets)

    def fit(self, w: npt.ArrayLike) -> Targets:
        """The fixed targets, whatever the values."""
        return self.targets


def as_grid(rule: Any) -> Grid:
    """A rule itself, or fixed targets as a rule.

    Raises
    ------
    ValueError
        For anything else, such as a class or a name.
    """
    made = not isinstance(rule, type)
    if made and hasattr(rule, "fit") and hasattr(rule, "bits"):
        return cast(Grid, rule)
    if made and hasattr(rule, "nearest") and hasattr(rule, "position"):
        return FixedTargets(rule)
    given = rule.__name__ if isinstance(rule, type) else repr(rule)
    raise ValueError(f"grid must be a rule such as MinMaxGrid(4) or targets such as Zero(); got {given}")


def with_bits(grid: Grid, bits: int) -> Grid:
    """The same rule for another number of bits."""
    return dataclasses.replace(grid, bits=bits)  # type: ignore[type-var]


def pieces(w: Array, per_channel: bool) -> Iterator[Array]:
    """The views of a tensor that each get targets of their own: the tensor, or its channels."""
    if not per_channel or w.ndim < 2:
        yield w
        return
    for channel in range(w.shape[-1]):
        yield w[..., channel]
