"""Weights before and after rounding: a histogram in units of the grid's step."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from psgd_ref.core.arguments import Array
from psgd_ref.figures.style import BLUE, INK


def weight_histogram(ax: Axes, weights: Array, codes: npt.NDArray[np.signedinteger], bits: int) -> None:
    """Draw the counts of weights, and of the integers that they are rounded to, on a logarithmic axis.

    Parameters
    ----------
    ax : Axes
        What is drawn on.
    weights : array
        In units of the step Δ, any shape.
    codes : array of int
        The integers that the weights are rounded to, same shape.
    bits : int
        Of the grid.
    """
    edge = 2 ** (bits - 1) - 0.5
    bins = np.linspace(-edge, edge, int(2 * edge) * 15 + 1).tolist()
    ax.hist(weights.ravel(), bins, color=BLUE, alpha=0.75, label="full precision")
    levels, counts = np.unique(codes, return_counts=True)
    ax.vlines(levels, 0.5, counts, color=INK, linewidth=1, label="quantized")
    ax.plot(levels, counts, "o", color=INK, markersize=3)
    ax.set_yscale("log")
    # An axis that is shared keeps the limits of the first panel otherwise, and cuts higher pins.
    ax.set_ylim(0.5, max(ax.get_ylim()[1], 1.3 * counts.max()))
    ax.set_xticks(range(-int(edge), int(edge) + 1))
    ax.set_xlabel("weight / Δ")
