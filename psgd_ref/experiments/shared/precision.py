"""Bits of weights and activations, and how they are written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """Bits of weights and of activations; None leaves activations at full precision."""

    weights: int
    activations: int | None = None

    def __str__(self) -> str:
        return f"W{self.weights}A{32 if self.activations is None else self.activations}"


def parse_precision(text: str) -> Precision:
    """The precision written as "W3A8", "W3" or "3"; ValueError for anything else, or bits outside 2 … 8."""
    weights, _, activations = text.upper().removeprefix("W").partition("A")
    try:
        precision = Precision(int(weights), int(activations) if activations not in ("", "32") else None)
    except ValueError:
        raise ValueError(f"bits must look like W3A8, W3 or 3; got {text!r}") from None
    if not 2 <= precision.weights <= 8 or not 2 <= (precision.activations or 8) <= 8:
        raise ValueError(f"bits of weights and activations must be in 2..8; got {text!r}")
    return precision
