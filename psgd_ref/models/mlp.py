"""The multilayer perceptron."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import whole_numbers
from psgd_ref.nn import Flatten, Layer, Linear, Model, ReLU, Sequential


def mlp(widths: Sequence[int] = (64, 50, 20, 10), seed: int = 0, dtype: npt.DTypeLike = np.float32) -> Model:
    """Fully connected layers of the given widths with ReLU between.

    Takes rows (N, widths[0]) or images with that many numbers.

    Parameters
    ----------
    widths
        At least two, input first and classes last.
    seed, dtype
        As in `Model`.

    Raises
    ------
    ValueError
        For fewer than two widths.
    """
    sizes = whole_numbers("widths", widths, 1)
    if len(sizes) < 2:
        raise ValueError(f"widths must name at least input and output; got {sizes}")
    layers: dict[str, Layer] = {"flatten": Flatten()}
    for i, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        if i > 1:
            layers[f"relu{i - 1}"] = ReLU()
        layers[f"fc{i}"] = Linear(inputs, outputs)
    return Model(Sequential(layers), seed, dtype)
