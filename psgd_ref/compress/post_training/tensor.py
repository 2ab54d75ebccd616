"""A quantized tensor: integers, and what turns them back into numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.grids.base import Grid, pieces
from psgd_ref.core import FiniteTargets, Targets, UniformGrid
from psgd_ref.core.arguments import Array, whole_number


@dataclass(frozen=True)
class QuantizedTensor:
    """A tensor as integers. values = (codes − zero_point) · scale [+ shift], exactly, in scale's dtype;
    on an uneven grid codes index a table: values = levels[codes − lowest code] · scale [+ shift].

    Attributes
    ----------
    bits
        Of the grid (of the widest channel's, where they differ).
    codes
        int8 (int16 above 8 bits) in the shape of the tensor; on a symmetric uniform grid in
        −(2^(bits−1) − 1) … 2^(bits−1) − 1.
    scale
        The step Δ, shape () or (channels,), in the dtype of the weights; 1 with `levels`.
    zero_point
        The code of 0, always 0 for weights.
    levels
        None, or the table of an uneven grid: (m,), or (channels, m) when fitted per channel.
    lowest
        The code of the table's first entry.
    shift
        None, or what a correction adds to each output channel (last axis), (channels,).
    """

    bits: int
    codes: npt.NDArray[np.signedinteger]
    scale: Array
    zero_point: int = 0
    levels: Array | None = None
    lowest: int = 0
    shift: Array | None = None

    def __repr__(self) -> str:
        scales = f"scale {self.scale:.3g}" if self.scale.size == 1 else f"{self.scale.size} scales"
        return f"QuantizedTensor({self.bits} bits, shape {self.codes.shape}, {scales})"

    @property
    def values(self) -> Array:
        """The numbers that the integers stand for."""
        values = self._unscaled() * self.scale
        return values if self.shift is None else values + self.shift

    @property
    def uniform_variance(self) -> Array:
        """Mean squared error of a weight that is uniform in its cell, for each entry (broadcastable).

        Δ²/12 on a uniform grid; (a³ + b³)/(3(a + b)) in a cell that reaches a below its level and b
        above it. A cell at the end of the table reaches as far out as in.
        """
        scale = self.scale.astype(np.float64)
        if self.levels is None:
            return np.asarray(scale**2 / 12)
        half = np.diff(self.levels.astype(np.float64), axis=-1) / 2
        below = np.concatenate([half[..., :1], half], axis=-1)
        above = np.concatenate([half, half[..., -1:]], axis=-1)
        variance = (below**3 + above**3) / (3 * (below + above))
        return np.asarray(self._look_up(variance) * scale**2)

    def _unscaled(self) -> Array:
        if self.levels is not None:
            return self._look_up(self.levels)
        codes = self.codes.astype(self.scale.dtype)
        return codes - self.scale.dtype.type(self.zero_point) if self.zero_point else codes

    def _look_up(self, table: Array) -> Array:
        """The table's entry of every code."""
        index = self.codes.astype(np.intp) - self.lowest
        return table[index] if table.ndim == 1 else table[np.arange(len(table)), index]


def quantize_tensor(w: Array, grid: Grid | Sequence[Grid]) -> QuantizedTensor:
    """Round a tensor to the nearest levels of the grid that is fitted to it.

    Ties go to the level an even number of levels from zero's.

    Parameters
    ----------
    w
        Any shape; with `grid.per_channel` the last axis is the channel.
    grid
        A rule, or a sequence of rules, one for each channel.

    Raises
    ------
    ValueError
        For weights that are not finite, for a single target, and for more targets than 16 bits can count.
    """
    per_channel = isinstance(grid, Sequence) or (grid.per_channel and w.ndim > 1)
    tensors = list(pieces(w, per_channel))
    rules = list(grid) if isinstance(grid, Sequence) else [grid] * len(tensors)
    if len(rules) != len(tensors):
        raise ValueError(
            f"a sequence of grids needs one for each of {len(tensors)} channels; got {len(rules)}"
        )
    targets = [rule.fit(piece) for rule, piece in zip(rules, tensors, strict=True)]
    bits = max(_bits(rule, target) for rule, target in zip(rules, targets, strict=True))
    codes = np.empty(w.shape, np.int8 if bits <= 8 else np.int16)
    for piece, target, out in zip(tensors, targets, pieces(codes, per_channel), strict=True):
        out[...] = target.position(piece)
    steps = [target.step for target in targets if isinstance(target, UniformGrid)]
    if len(steps) == len(targets):
        return QuantizedTensor(bits, codes, np.array(steps if per_channel else steps[0], w.dtype))
    tables = [target for target in targets if isinstance(target, FiniteTargets)]
    if len(tables) < len(targets) or len({(target.values.size, target.origin) for target in tables}) > 1:
        raise ValueError("a table of levels needs targets of one kind, as many in each channel")
    levels = np.array([target.values for target in tables] if per_channel else tables[0].values, w.dtype)
    return QuantizedTensor(bits, codes, np.ones((), w.dtype), levels=levels, lowest=-tables[0].origin)


def correct_channels(tensor: QuantizedTensor, w: Array, std: bool = False) -> QuantizedTensor:
    """Restore the mean of every output channel of a quantized tensor, and its standard deviation if asked.

    W̃ = (Ŵ − mean Ŵ) r + mean W,   r = 1, or sd W / (sd Ŵ + 1e−8)

    The correction goes into `scale` and `shift`, the codes stay.

    Parameters
    ----------
    w
        The tensor before quantization; channels are its last axis, and a vector is left as it is.

    Source
    ------
    Banner et al. 2019, and its code.
    """
    if w.ndim < 2:
        return tensor
    axes = tuple(range(w.ndim - 1))
    values, original = tensor.values.astype(np.float64), w.astype(np.float64)
    ratio = original.std(axes) / (values.std(axes) + 1e-8) if std else np.ones(w.shape[-1])
    shift = original.mean(axes) - ratio * values.mean(axes)
    dtype = tensor.scale.dtype
    return QuantizedTensor(
        tensor.bits,
        tensor.codes,
        (tensor.scale * ratio).astype(dtype) if std else tensor.scale,
        tensor.zero_point,
        tensor.levels,
        tensor.lowest,
        shift.astype(dtype),
    )


def _bits(rule: Grid, targets: Targets) -> int:
    """Bits of a rule, or as many as its fixed targets need."""
    if rule.bits is not None:
        return whole_number("bits", rule.bits, 2, 16)
    if isinstance(targets, UniformGrid) and targets.levels is not None:
        return whole_number("bits that the targets need", targets.levels.bit_length() + 1, 2, 16)
    if isinstance(targets, FiniteTargets) and targets.values.size > 1:
        farthest = max(targets.origin, targets.values.size - 1 - targets.origin)
        return whole_number("bits that the targets need", farthest.bit_length() + 1, 2, 16)
    raise ValueError(f"codes need a finite grid of at least two levels; {targets!r} is none")
