"""What every exported file begins with: the model that is written, and images as files want them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import Grid, MinMaxGrid, QuantizedModel, calibrated, insert_input_quantizers, quantize
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model


def prepare(
    model: Model,
    images: Array,
    bits: int | None = None,
    activation_bits: int | None = None,
    grid: Callable[..., Grid] = MinMaxGrid,
    per_channel: bool = False,
) -> Model:
    """The model that is exported: quantized if bits are given, with rounded activations if theirs are.

    Raises ValueError for a model that is quantized already and bits.
    """
    if isinstance(model, QuantizedModel) and bits is not None:
        raise ValueError("the model is quantized already; leave bits out to export its integers")
    if bits is not None:
        model = quantize(model, bits, grid, per_channel)
    if activation_bits is not None:
        model = model.copy()
        insert_input_quantizers(model, calibrated(model, images, activation_bits))
    return model


def channels_first(images: Array) -> npt.NDArray[np.float32]:
    """Images (N, H, W, C) as (N, C, H, W) float32, rows (N, I) as they are: what the file takes."""
    moved = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images
    return np.ascontiguousarray(moved, np.float32)
