"""Fig. 3: the weights of every layer of the convolutional network."""

from collections.abc import Mapping
from typing import Any

from psgd_ref.figures.course.weights_by_layer import draw

__all__ = ["caption", "draw"]


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    return (
        "The weights of every layer of a convolutional network on the digits, first layer on top, after "
        "training with SGD and with PSGD towards 3 and 2 bits (one seed). Counts are logarithmic: a linear "
        "axis hides everything but the highest peaks. Dotted: the levels of the layer's grid (3 bits under "
        "SGD, which does not know of it); the first and the last layer have 8 bits, too many to draw. PSGD's "
        "weights gather at the levels of the inner layers, most of them at zero; the outer layers look "
        "like SGD's."
    )
