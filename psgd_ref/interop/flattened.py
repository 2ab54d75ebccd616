"""Tensors whose entries belong to the numbers of a flattened image: PyTorch has them in another order.

Our images are (H, W, C) and PyTorch's (C, H, W), so that an image flattened there has its numbers in another
order, and so have the inputs of the linear layer after it, and the vectors of a norm between the two. With
HW pixels of C channels the order (HW, C) becomes (C, HW): C, which the network itself tells, is all that must
be known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from psgd_ref.compress.walk import Walk
from psgd_ref.core.arguments import whole_numbers
from psgd_ref.nn import (
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Elementwise,
    Flatten,
    GlobalAvgPool,
    Layer,
    LayerNorm,
    Linear,
    MaxPool2d,
    Model,
    ReLU,
    Residual,
)
from psgd_ref.nn.layer import Shape
from psgd_ref.nn.parameters import dotted

# The names of tensors whose first axis, in our layout, is a flattened image, with the image's channels.
Flattened = Mapping[str, int]
# These keep the channels apart.
_CHANNELWISE = (AvgPool2d, Dropout, Elementwise, MaxPool2d, ReLU)


def flattened(model: Model, input_shape: Any = None) -> Flattened:
    """The tensors of a model whose order differs in PyTorch.

    Parameters
    ----------
    input_shape
        Of one input, (H, W, C), or (I,) for rows. By default that of the images that the model saw last.
        Only a network that flattens its very input needs it.

    Raises
    ------
    ValueError
        When it is needed and not known.
    """
    walk = _Flattens()
    walk.through(model.net, "", _start(model, input_shape))
    if walk.unknown is not None:
        flatten, tensor = walk.unknown
        raise ValueError(
            f"the order of {tensor} in PyTorch depends on what {flatten} flattens: give input_shape, "
            "(H, W, C) for images, or (I,) for rows"
        )
    return walk.found


def flattened_inside(model: Model) -> Flattened:
    """The same for files of our own: what the network alone tells, whatever images the model saw.

    What flattens the very input is not among it and keeps our order.
    """
    walk = _Flattens()
    walk.through(model.net, "", _Signal(None, None))
    return walk.found


def to_pytorch(tensor: npt.NDArray[Any], channels: int | None) -> npt.NDArray[Any]:
    """The order (HW, C) of the first axis as (C, HW); the tensor itself for None."""
    if channels is None:
        return tensor
    apart = tensor.reshape(-1, channels, *tensor.shape[1:])
    return apart.swapaxes(0, 1).reshape(tensor.shape)


def from_pytorch(tensor: npt.NDArray[Any], channels: int | None) -> npt.NDArray[Any]:
    """The order (C, HW) of the first axis as (HW, C); the tensor itself for None."""
    return tensor if channels is None else to_pytorch(tensor, len(tensor) // channels)


def _start(model: Model, input_shape: Any) -> "_Signal":
    """What is known of the network's input."""
    if input_shape is not None:
        lengths = whole_numbers("input_shape", input_shape, 1)
        if len(lengths) not in (1, 3):
            raise ValueError(f"input_shape must be (H, W, C), or (I,) for rows; got {lengths}")
        return _Signal(lengths[-1], lengths)
    seen = model.input_shape
    if seen is not None:
        return _Signal(seen[-1], seen)
    return _Signal(None if model.pixels is None else len(model.pixels[0]), None)


@dataclass(frozen=True)
class _Signal:
    """What is known of the numbers between two layers.

    Attributes
    ----------
    channels
        Of an image, or of the image that was flattened; of a row all its numbers.
    shape
        Of one example.
    flatten
        The name of the layer that flattened it; None for images and other rows.
    """

    channels: int | None
    shape: Shape | None
    flatten: str | None = None


class _Flattens(Walk[_Signal]):
    def __init__(self) -> None:
        self.found: dict[str, int] = {}
        # The first layer that flattens what is not known, and a tensor that depends on it.
        self.unknown: tuple[str, str] | None = None

    def leaf(self, layer: Layer, name: str, known: _Signal) -> _Signal:
        shape = layer.output_shape(known.shape)
        match layer:
            case Flatten():
                return _Signal(known.channels, shape, known.flatten or name)
            case Linear():
                self._note(known, name, layer.weight.shape[0], "weight")
                return _Signal(layer.weight.shape[1], shape)
            case Conv2d():
                return _Signal(layer.weight.shape[3], shape)
            case BatchNorm() | LayerNorm():
                tensors = (*layer.parameters(), *layer.buffers())
                self._note(known, name, layer.weight.shape[0], *tensors)
                return known if known.flatten else _Signal(layer.weight.shape[-1], shape)
            case GlobalAvgPool():
                return _Signal(known.channels, shape)
        return replace(known, shape=shape) if isinstance(layer, _CHANNELWISE) else _Signal(None, None)

    def join(self, block: Residual, main: _Signal, side: _Signal) -> _Signal:
        return main if main.flatten else replace(main, channels=block.norm.weight.shape[0])

    def _note(self, known: _Signal, layer: str, inputs: int, *tensors: str) -> None:
        if known.flatten is None:
            return
        given = None if known.shape is None else known.shape[0]
        if known.channels is None:
            self.unknown = self.unknown or (known.flatten, dotted(layer, tensors[0]))
        elif inputs % known.channels or given not in (None, inputs):
            what = f"images of {known.channels} channels" if given is None else f"{given} numbers"
            raise ValueError(f"{layer} takes {inputs} numbers, {known.flatten} makes them of {what}")
        else:
            self.found |= dict.fromkeys((dotted(layer, tensor) for tensor in tensors), known.channels)
