"""Numbers as options of commands."""

import argparse

from psgd_ref.core.arguments import whole_number


def count(text: str) -> int:
    """A whole number ≥ 1."""
    return _whole(text, 1)


def seed(text: str) -> int:
    """A whole number ≥ 0."""
    return _whole(text, 0)


def bit_widths(text: str) -> list[int]:
    """Whole numbers with commas between them."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be whole numbers, as 8,4,3; got {text!r}") from None


def per_cents(text: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be numbers, as 50,80,97.5; got {text!r}") from None


def _whole(text: str, low: int) -> int:
    try:
        return whole_number("it", int(text), low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number >= {low}; got {text!r}") from None
