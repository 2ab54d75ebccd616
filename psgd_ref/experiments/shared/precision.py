"""Bit-widths of weights and activations as one value, and how they are written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Precision:
    """Bit-widths of weights and activations.

    Parameters
    ----------
    weights : int or None
        Bits of the weights; None at full precision.
    activations : int or None
        Bits of the layers' inputs; None leaves them at full precision.
    mixed : bool
        Whether each layer has bits of its own, chosen by a method and told elsewhere.

    Examples
    --------
    >>> str(Precision(3, 8)), str(Precision(3)), Precision(3).label, str(Precision())
    ('W3A8', 'W3A32', 'W3', 'full')
    """

    weights: int | None = None
    activations: int | None = None
    mixed: bool = False

    def __str__(self) -> str:
        if self.activations is None and self.weights is not None:
            return f"{self.label}A32"
        return self.label

    @property
    def label(self) -> str:
        """The short form, which leaves out activations at full precision: "W3", "W3A8", "full", "mixed"."""
        if self.mixed:
            return "mixed"
        if self.weights is None:
            return "full"
        return f"W{self.weights}" if self.activations is None else f"W{self.weights}A{self.activations}"

    @staticmethod
    def read(text: str) -> "Precision":
        """The precision of a stored text, as `str` or `label` wrote it.

        Raises
        ------
        ValueError
            For any other text.
        """
        for known in (FULL, MIXED):
            if text == known.label:
                return known
        weights, _, activations = text.upper().removeprefix("W").partition("A")
        try:
            return Precision(int(weights), None if activations in ("", "32") else int(activations))
        except ValueError:
            raise ValueError(f"bits must look like W3A8, W3 or 3; got {text!r}") from None


FULL, MIXED = Precision(), Precision(mixed=True)


def parse_precision(text: str) -> Precision:
    """The precision that a user gives as "W3A8", "W3" or "3".

    Raises
    ------
    ValueError
        For anything else, and for bits outside 2 … 8.
    """
    precision = Precision.read(text)
    bits = (precision.weights, 8 if precision.activations is None else precision.activations)
    if precision in (FULL, MIXED):
        raise ValueError(f"bits must look like W3A8, W3 or 3; got {text!r}")
    if not all(width is not None and 2 <= width <= 8 for width in bits):
        raise ValueError(f"bits of weights and activations must be in 2..8; got {text!r}")
    return precision
