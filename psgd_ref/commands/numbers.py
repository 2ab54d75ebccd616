"""Whole numbers as options of commands."""

import argparse

from psgd_ref.core.arguments import whole_number


def count(text: str) -> int:
    """A whole number ≥ 1."""
    return _whole(text, 1)


def seed(text: str) -> int:
    """A whole number ≥ 0."""
    return _whole(text, 0)


def _whole(text: str, low: int) -> int:
    try:
        return whole_number("it", int(text), low)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number >= {low}; got {text!r}") from None
