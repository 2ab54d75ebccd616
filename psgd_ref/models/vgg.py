"""VGG with batch norm (Simonyan and Zisserman 2015), in the form used for small images."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import whole_number
from psgd_ref.nn import BatchNorm, Conv2d, GlobalAvgPool, Layer, Linear, MaxPool2d, Model, Sequential

# Convolutions in each of the five stages; every stage ends in a 2×2 max-pool.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(
    depth: int = 11,
    classes: int = 10,
    seed: int = 0,
    channels: int = 3,
    width: int = 64,
    dtype: npt.DTypeLike = np.float32,
) -> Model:
    """3×3 convolutions in five stages of (1, 2, 4, 8, 8)·width channels, then average pool and linear layer.

    Every stage ends in a 2×2 max-pool, so H and W must be multiples of 32.

    Parameters
    ----------
    depth
        11, 13, 16 or 19.
    classes
        ≥ 2.
    seed, dtype
        As in `Model`.
    channels
        Of the input images (N, H, W, channels).
    width
        Channels of the first stage, ≥ 1.

    Raises
    ------
    ValueError
        For another depth.
    """
    if not isinstance(depth, int) or depth not in STAGES:
        raise ValueError(f"depth must be one of {', '.join(map(str, STAGES))}; got {depth!r}")
    layers: dict[str, Layer] = {}
    inputs = whole_number("channels", channels, 1)
    number = 0
    for stage, convolutions in enumerate(STAGES[depth]):
        outputs = whole_number("width", width, 1) * min(2**stage, 8)
        for _ in range(convolutions):
            number += 1
            layers[f"conv{number}"] = Conv2d(inputs, outputs, 3, padding=1)
            layers[f"bn{number}"] = BatchNorm(outputs, relu=True)
            inputs = outputs
        layers[f"pool{stage + 1}"] = MaxPool2d(2)
    layers["mean"] = GlobalAvgPool()
    layers["fc"] = Linear(inputs, whole_number("classes", classes, 2))
    return Model(Sequential(layers), seed, dtype)
