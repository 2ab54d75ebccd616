"""Numbers as options of commands, refused in words."""

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

from psgd_ref.core.arguments import whole_number

Number = TypeVar("Number", int, float)


def count(text: str) -> int:
    """A whole number ≥ 1."""
    return _whole(text, 1)


def seed(text: str) -> int:
    """A whole number ≥ 0."""
    return _whole(text, 0)


def whole(text: str) -> int:
    """Any whole number."""
    return _read(int, text, "a whole number")


def real(text: str) -> float:
    """Any number."""
    return _read(float, text, "a number")


def seconds(text: str) -> float:
    """A time > 0."""
    value = _read(float, text, "seconds > 0")
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be seconds > 0; got {text!r}")
    return value


def bit_widths(text: str) -> list[int]:
    """Whole numbers with commas between them.

    Parameters
    ----------
    text : str
        What the user typed, such as "8,4,2".

    Raises
    ------
    ArgumentTypeError
        For other text.
    """
    return [_read(int, part, "whole numbers such as 8,4,2", text) for part in text.split(",")]


def per_cents(text: str) -> list[float]:
    """Numbers in 0 … 100 with commas between them.

    Parameters
    ----------
    text : str
        What the user typed, such as "50,80,90".

    Raises
    ------
    ArgumentTypeError
        For other text.
    """
    accepted = "per cent in 0..100 such as 50,80,90"
    numbers = [_read(float, part, accepted, text) for part in text.split(",")]
    if not all(0 <= number <= 100 for number in numbers):
        raise argparse.ArgumentTypeError(f"must be {accepted}; got {text!r}")
    return numbers


def _read(kind: Callable[[str], Number], text: str, accepted: str, given: str | None = None) -> Number:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be {accepted}; got {(text if given is None else given)!r}"
        ) from None


def _whole(text: str, low: int) -> int:
    try:
        return whole_number("it", int(text), low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number >= {low}; got {text!r}") from None
