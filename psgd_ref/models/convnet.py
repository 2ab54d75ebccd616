"""A small convolutional network for small images."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import whole_number, whole_numbers
from psgd_ref.nn import BatchNorm, Conv2d, GlobalAvgPool, Layer, Linear, MaxPool2d, Model, Sequential


def convnet(
    channels: int = 1,
    widths: Sequence[int] = (16, 16, 32),
    classes: int = 10,
    seed: int = 0,
    dtype: npt.DTypeLike = np.float32,
) -> Model:
    """3×3 convolutions with batch norm and ReLU, a 2×2 max-pool halfway, then average pool and linear layer.

    Parameters
    ----------
    channels
        Of the input images (N, H, W, channels), H and W ≥ 2.
    widths
        Channels of each convolution, at least one number.
    classes
        ≥ 2.
    seed, dtype
        As in `Model`.

    Raises
    ------
    ValueError
        For empty widths, or numbers that are too small.
    """
    sizes = whole_numbers("widths", widths, 1)
    if not sizes:
        raise ValueError("widths must name at least one convolution; got none")
    layers: dict[str, Layer] = {}
    inputs = whole_number("channels", channels, 1)
    for i, width in enumerate(sizes, 1):
        layers[f"conv{i}"] = Conv2d(inputs, width, 3, padding=1)
        layers[f"bn{i}"] = BatchNorm(width, relu=True)
        if i == (len(sizes) + 1) // 2 < len(sizes):
            layers["pool"] = MaxPool2d(2)
        inputs = width
    layers["mean"] = GlobalAvgPool()
    layers["fc"] = Linear(inputs, whole_number("classes", classes, 2))
    return Model(Sequential(layers), seed, dtype)
