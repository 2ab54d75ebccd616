"""What the functions of this package accept, and the one clear error for everything else."""

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

P = ParamSpec("P")
R = TypeVar("R")
Array = npt.NDArray[np.floating[Any]]

# The largest integer that arrays can hold.
LARGEST = 2**63 - 1


def real_array(name: str, value: npt.ArrayLike) -> Array:
    """Return `value` as a floating-point array (integers become float64), any shape.

    Raises ValueError when it is not numeric or holds NaN or infinity.
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array; got sequences of different lengths") from None
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    if array.dtype.kind != "f":
        raise ValueError(f"{name} must be an array of real numbers; got dtype {array.dtype}")
    if not np.isfinite(array).all():
        bad = int(np.size(array) - np.isfinite(array).sum())
        raise ValueError(f"{name} must be finite; {bad} of {array.size} entries are NaN or infinite")
    return array


def finite_number(name: str, value: Any, accepted: str = "a finite number") -> float:
    """Return `value` as a finite float; ValueError, which names what is `accepted`, for anything else."""
    if not isinstance(value, bool | np.bool_) and isinstance(value, int | float | np.integer | np.floating):
        try:
            number = float(value)
        except OverflowError:  # of Python's whole numbers
            number = math.inf
        if math.isfinite(number):
            return number
    raise ValueError(f"{name} must be {accepted}; got {_short(value)}")


def real_number(name: str, value: Any, *, positive: bool = False) -> float:
    """Return `value` as a finite float that is ≥ 0, or > 0 when `positive`; else ValueError."""
    accepted = "a finite number > 0" if positive else "a finite number >= 0"
    number = finite_number(name, value, accepted)
    if number < 0 or (positive and number == 0):
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
    """Return `value` as an int in low … high, by default any of 64 bits that is ≥ low; else ValueError."""
    accepted = f"a whole number >= {low}" if high is None else f"a whole number in {low}..{high}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be {accepted}; got {_short(value)}")
    if not low <= value <= (LARGEST if high is None else high):
        accepted += " and below 2^63" if high is None and value > LARGEST else ""
        raise ValueError(f"{name} must be {accepted}; got {_short(value)}")
    return int(value)


def whole_numbers(name: str, values: Any, low: int, high: int | None = None) -> tuple[int, ...]:
    """Return a sequence of whole numbers in low … high as a tuple; ValueError for anything else."""
    if not isinstance(values, list | tuple | range) and getattr(values, "ndim", 0) != 1:
        accepted = f">= {low}" if high is None else f"in {low}..{high}"
        raise ValueError(f"{name} must be a list of whole numbers {accepted}; got {_short(values)}")
    return tuple(whole_number(name, value, low, high) for value in values)


def flag(name: str, value: Any) -> bool:
    """Return `value` when it is True or False; ValueError for anything else, the text "no" included."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False; got {_short(value)}")
    return bool(value)


def some_images(images: Array, use: str) -> None:
    """Raise ValueError for no images, and for numbers in them that are not finite; `use` needs them.

    What is no array of floats is left to the model, which refuses it.
    """
    if len(images) == 0:
        raise ValueError(f"images must not be empty; {use} needs at least one")
    if not isinstance(images, np.ndarray) or images.dtype.kind != "f":
        return
    wrong = ~np.isfinite(images)
    if wrong.any():
        first = int(np.flatnonzero(wrong.reshape(len(images), -1).any(axis=1))[0])
        raise ValueError(f"images must be finite, or {use} would spoil the model; image {first} is not")


def offers(name: str, value: Any, methods: tuple[str, ...], accepted: str) -> None:
    """Raise ValueError that says what is accepted unless the value has these methods."""
    if isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
        raise ValueError(f"{name} must be {accepted}; got {_short(value)}")


def representable(name: str, result: Array) -> Array:
    """Return a result that is finite; else raise ValueError, which blames `name`."""
    if not np.isfinite(result).all():
        raise ValueError(f"{name} leaves the range of {result.dtype}: the result is not finite")
    return result


def in_range(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a closed form so that overflow and division by zero raise ValueError, not Python's own errors."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (OverflowError, ZeroDivisionError):
            raise ValueError(f"{function.__name__}: the arguments leave the range of float64") from None

    return call


def double(matrix: Array) -> Array:
    """A matrix in a dtype that `np.linalg` accepts: float32 and float64 as they are, others as float64."""
    return matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float64)


def _short(value: Any) -> str:
    """The value's repr; a long one is cut off, and its type added."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}… ({type(value).__name__})"


def choice(name: str, value: Any, accepted: tuple[str, ...]) -> str:
    """Return `value` when it is one of the accepted words; else ValueError that lists them."""
    if not isinstance(value, str) or value not in accepted:
        raise ValueError(f"{name} must be one of {', '.join(accepted)}; got {value!r}")
    return value


def known(what: str, given: Iterable[str], accepted: Iterable[str]) -> None:
    """Raise ValueError, which lists the accepted names, when one of the given names is not among them."""
    accepted = list(accepted)
    unknown = [name for name in given if name not in accepted]
    if unknown:
        raise ValueError(f"unknown {what} {', '.join(unknown)}; accepted are {', '.join(accepted)}")


def same_shape(name: str, array: Array, other_name: str, other: Array) -> None:
    """Raise ValueError unless both arrays have the same shape."""
    if array.shape != other.shape:
        raise ValueError(f"{name} must have the shape of {other_name}, {other.shape}; got {array.shape}")
