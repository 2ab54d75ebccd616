"""Quantization of a trained model: integers, a scale, and their product."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.grids import Grid, MinMaxGrid, pieces
from psgd_ref.compress.policy import assign, layer_name, outer_layers
from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array, whole_number
from psgd_ref.nn import Model


@dataclass(frozen=True)
class QuantizedTensor:
    """A tensor as integers: values = codes · scale, exactly, in the dtype of scale.

    bits  : of the grid; codes lie in −(2^(bits−1) − 1) … 2^(bits−1) − 1
    codes : int8 (int16 above 8 bits), in the shape of the tensor
    scale : the step Δ, shape () or (channels,), in the dtype of the weights; the zero point is 0
    """

    bits: int
    codes: npt.NDArray[np.signedinteger]
    scale: Array

    @property
    def values(self) -> Array:
        """codes · scale."""
        return self.codes.astype(self.scale.dtype) * self.scale


class QuantizedModel(Model):
    """A copy of a model whose gridded parameters lie on their grids.

    quantized : the integers of every gridded parameter, by name
    """

    def __init__(self, model: Model, grid: Grid) -> None:
        self.__setstate__(model.copy().__getstate__())
        self.quantized: dict[str, QuantizedTensor] = {}
        for segment, rule in assign(self, grid):
            view = segment.view(self.w)
            self.quantized[segment.name] = quantize_tensor(view, rule)
            view[...] = self.quantized[segment.name].values


def quantize_tensor(w: Array, grid: Grid) -> QuantizedTensor:
    """Round a tensor to the nearest levels of the uniform grid that is fitted to it.

    w any shape; with `grid.per_channel` the last axis is the channel. Ties go to the even code.
    Raises ValueError for weights that are not finite and for grids that are not uniform.
    """
    bits = whole_number("bits", grid.bits, 2, 16)
    steps, codes = [], np.empty(w.shape, np.int8 if bits <= 8 else np.int16)
    for part, out in zip(pieces(w, grid.per_channel), pieces(codes, grid.per_channel), strict=True):
        targets = grid.fit(part)
        if not isinstance(targets, UniformGrid):
            raise ValueError(
                f"codes need a uniform grid; {type(grid).__name__} fits {type(targets).__name__}"
            )
        steps.append(targets.step)
        out[...] = targets.position(part)
    scale = np.array(steps if grid.per_channel and w.ndim > 1 else steps[0], w.dtype)
    return QuantizedTensor(bits, codes, scale)


def quantize(
    model: Model, bits: int = 4, grid: Callable[..., Grid] = MinMaxGrid, per_channel: bool = False
) -> QuantizedModel:
    """A new model with weights and linear biases rounded to b bits; the given one stays as it is.

    bits : 2 … 16; below 4 the first and last layer keep 8, as in the official code
    grid : `MinMaxGrid`, `MSEGrid` or another rule that takes bits and per_channel
    Batch-norm statistics are left as they are (see `reestimate_batch_norm`).
    Raises ValueError for other bits and for weights that are not finite.
    """
    return QuantizedModel(model, grid(bits, per_channel))


def relative_error(model: Model, quantized: QuantizedModel) -> float:
    """Mean of (w − Q(w))² over all weights, relative to Δ²/12, that of a weight uniform in its cell.

    Each tensor's (channel's) error is divided by its own Δ²/12 first; 1 means that training left no
    mark. First and last layer are left out, so that all widths compare the same weights.
    """
    ratios = []
    for name, tensor in quantized.quantized.items():
        segment = model.segment(name)
        if layer_name(segment) not in outer_layers(model):
            w, scale = segment.view(model.w).astype(np.float64), tensor.scale.astype(np.float64)
            ratios.append(((w - tensor.values) ** 2 / (scale**2 / 12)).ravel())
    return float(np.concatenate(ratios).mean()) if ratios else float("nan")
