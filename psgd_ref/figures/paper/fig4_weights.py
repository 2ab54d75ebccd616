"""Fig. 4(a): the weights of the perceptron, layer by layer."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from psgd_ref.figures.course import weights_by_layer


def draw(data: Mapping[str, Any]) -> Figure:
    """A row for each layer, a column for each method.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.fig4.run` gives it.
    """
    return weights_by_layer.draw({"bins": data["bins"], "methods": data["weights"]})


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    return (
        "The weights of a perceptron with hidden layers of 50 and 20 on the digits, after SGD and after PSGD "
        f"towards {data['bits']} bits (seed {data['seeds'][0]}); counts are logarithmic. Dotted: the "
        "levels of "
        "the grid of the middle layer. The first and the last layer have 8 bits, too many levels to draw, "
        "and "
        "PSGD leaves no trace in them that the eye could see."
    )
