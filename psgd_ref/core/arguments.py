"""What the functions of this package accept, and the one clear error for everything else."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def real_array(name: str, value: npt.ArrayLike) -> Array:
    """Return `value` as a floating-point array (integers become float64), any shape.

    Raises ValueError when it is not numeric or holds NaN or infinity.
    """
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must be an array of real numbers; got dtype {array.dtype}")
    if not np.isfinite(array).all():
        bad = int(np.size(array) - np.isfinite(array).sum())
        raise ValueError(f"{name} must be finite; {bad} of {array.size} entries are NaN or infinite")
    return array


def real_number(name: str, value: Any, *, positive: bool = False) -> float:
    """Return `value` as a finite float that is ≥ 0, or > 0 when `positive`; else ValueError."""
    accepted = "a finite number > 0" if positive else "a finite number >= 0"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        raise ValueError(f"{name} must be {accepted}; got {value!r}")
    number = float(value)
    if not math.isfinite(number) or number < 0 or (positive and number == 0):
        raise ValueError(f"{name} must be {accepted}; got {value!r}")
    return number


def below_one(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1); else ValueError."""
    if real_number(name, value) >= 1:
        raise ValueError(f"{name} must lie in [0, 1); got {value!r}")
    return float(value)


def fraction(name: str, value: Any) -> float:
    """Return `value` as a float in [0, 1]; else ValueError."""
    if real_number(name, value) > 1:
        raise ValueError(f"{name} must lie in [0, 1]; got {value!r}")
    return float(value)


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return `value` as an int in low … high (no upper end when `high` is None); else ValueError."""
    accepted = f"a whole number in {low}..{high}" if high is not None else f"a whole number >= {low}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be {accepted}; got {value!r}")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name} must be {accepted}; got {value!r}")
    return int(value)


def choice(name: str, value: Any, accepted: tuple[str, ...]) -> str:
    """Return `value` when it is one of the accepted words; else ValueError that lists them."""
    if not isinstance(value, str) or value not in accepted:
        raise ValueError(f"{name} must be one of {', '.join(accepted)}; got {value!r}")
    return value


def known(what: str, given: Iterable[str], accepted: Iterable[str]) -> None:
    """Raise ValueError that lists them when some of the names given are not among the accepted."""
    accepted = list(accepted)
    unknown = [name for name in given if name not in accepted]
    if unknown:
        raise ValueError(f"unknown {what} {', '.join(unknown)}; accepted are {', '.join(accepted)}")


def same_shape(name: str, array: Array, other_name: str, other: Array) -> None:
    """Raise ValueError unless both arrays have the same shape."""
    if array.shape != other.shape:
        raise ValueError(f"{name} must have the shape of {other_name}, {other.shape}; got {array.shape}")
