"""The residual network for CIFAR (He et al. 2016), as the paper's experiments use it."""

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import whole_number
from psgd_ref.nn import BatchNorm, Conv2d, GlobalAvgPool, Layer, Linear, Model, Residual, Sequential


def resnet(
    depth: int = 32,
    classes: int = 10,
    seed: int = 0,
    channels: int = 3,
    width: int = 16,
    dtype: npt.DTypeLike = np.float32,
) -> Model:
    """A 3×3 stem and three stages of (depth − 2)/6 basic blocks with width, 2·width and 4·width channels.

    Stages two and three begin with stride 2 and a 1×1 convolution with batch norm as the shortcut. Names are
    those of the official PSGD code's ResNet.

    Parameters
    ----------
    depth
        8, 14, 20, 26, 32, 38, 44, 50 or 56.
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
    if whole_number("depth", depth, 8, 56) % 6 != 2:
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, … 56); got {depth}")
    width = whole_number("width", width, 1)
    layers: dict[str, Layer] = {
        "conv1": Conv2d(whole_number("channels", channels, 1), width, 3, padding=1),
        "bn1": BatchNorm(width, relu=True),
    }
    inputs = width
    for stage, outputs in enumerate((width, 2 * width, 4 * width), 1):
        blocks: dict[str, Layer] = {}
        for block in range((depth - 2) // 6):
            stride = 2 if stage > 1 and block == 0 else 1
            blocks[str(block)] = _basic_block(inputs, outputs, stride)
            inputs = outputs
        layers[f"layer{stage}"] = Sequential(blocks)
    layers["mean"] = GlobalAvgPool()
    layers["fc"] = Linear(inputs, whole_number("classes", classes, 2))
    return Model(Sequential(layers), seed, dtype)


def _basic_block(inputs: int, outputs: int, stride: int) -> Residual:
    body: dict[str, Layer] = {
        "conv1": Conv2d(inputs, outputs, 3, stride, padding=1),
        "bn1": BatchNorm(outputs, relu=True),
        "conv2": Conv2d(outputs, outputs, 3, padding=1),
    }
    shortcut: dict[str, Layer] | None = None
    if stride != 1 or inputs != outputs:
        shortcut = {"0": Conv2d(inputs, outputs, 1, stride), "1": BatchNorm(outputs)}
    return Residual(body, ("bn2", BatchNorm(outputs, relu=True)), shortcut)
