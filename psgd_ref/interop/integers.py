"""The weights of a quantized model as they stand in its file: packed codes, and what gives them values."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import QuantizedModel, QuantizedTensor
from psgd_ref.core.arguments import whole_number, whole_numbers
from psgd_ref.interop.deployment.packing import container_bits, pack, unpack
from psgd_ref.interop.flattened import Flattened
from psgd_ref.interop.layout import own_layout, pytorch_layout, pytorch_shape
from psgd_ref.nn import Model

Tensors = Mapping[str, npt.NDArray[Any]]
Record = dict[str, Any]
# Behind the weight's name, in the file.
CODES, SCALE, LEVELS, SHIFT = ".codes", ".scale", ".levels", ".shift"
# Codes in fields of 2 or 4 bits are bytes in a row; wider ones are whole numbers in the weight's shape.
WIDEST_PACKED = 4


def packed(model: QuantizedModel, order: Flattened) -> tuple[Record, dict[str, npt.NDArray[Any]]]:
    """What a file says of each quantized weight, and its tensors.

    Codes of at most 2 bits stand four to a byte, of 3 and 4 bits two to a byte, the first in the low bits;
    of 5 … 8 bits they are int8, above int16. Their order is that of PyTorch's layout.

    Parameters
    ----------
    order
        `flattened_inside(model)`.

    Raises
    ------
    ValueError
        For a weight that is not its codes' any more.
    """
    record: Record = {}
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in model.integers().items():
        codes = pytorch_layout(tensor.codes, order.get(name))
        record[name] = {"bits": tensor.bits, "shape": list(codes.shape), "zero_point": tensor.zero_point}
        narrow = tensor.bits <= WIDEST_PACKED
        tensors[name + CODES] = pack(codes, container_bits(tensor.bits)) if narrow else codes
        tensors[name + SCALE] = tensor.scale
        if tensor.levels is not None:
            record[name]["lowest"] = tensor.lowest
            tensors[name + LEVELS] = tensor.levels
        if tensor.shift is not None:
            tensors[name + SHIFT] = tensor.shift
    return record, tensors


@dataclass(frozen=True)
class Unpacked:
    """What a file holds: the `floats` that are no part of a quantized weight, and the `quantized` weights.

    Codes are in PyTorch's layout; those of no more bytes than the file has.
    """

    floats: dict[str, npt.NDArray[Any]]
    quantized: dict[str, QuantizedTensor]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every parameter and statistic, by name."""
        of_floats = {name: tensor.shape for name, tensor in self.floats.items()}
        return of_floats | {name: tensor.codes.shape for name, tensor in self.quantized.items()}


def unpacked(record: Any, tensors: Tensors, dtype: str) -> Unpacked:
    """The tensors of a file, its codes apart.

    Parameters
    ----------
    record
        What `packed` says of each weight, from the file.
    dtype
        Of the model, which scales must have.

    Raises
    ------
    ValueError
        That names the weight whose record or tensors `packed` would not write.
    """
    if not isinstance(record, dict):
        raise ValueError("the record of its integers must hold weights by name")
    floats = dict(tensors)
    quantized = {}
    for name, described in record.items():
        own = {part: floats.pop(name + part, None) for part in (CODES, SCALE, LEVELS, SHIFT)}
        try:
            quantized[name] = _tensor(described, own, np.dtype(dtype))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return Unpacked(floats, quantized)


def quantized_model(model: Model, found: Unpacked, order: Flattened) -> tuple[QuantizedModel, Tensors]:
    """A quantized model of that structure with its integers, and the tensors that give it its values.

    Raises
    ------
    ValueError
        For integers of a weight that the model lacks or has in another shape.
    """
    whole = QuantizedModel(model, {})
    tensors = dict(found.floats)
    own = {segment.name: pytorch_shape(segment.view(whole.w)) for segment in whole.segments}
    for name, tensor in found.quantized.items():
        if own.get(name) != tensor.codes.shape:
            raise ValueError(f"{name}: shape {tensor.codes.shape} given, the model has {own.get(name)}")
        ours = replace(tensor, codes=own_layout(tensor.codes, order.get(name)))
        whole.quantized[name] = ours
        with np.errstate(over="ignore"):
            tensors[name] = pytorch_layout(ours.values, order.get(name))
    return whole, tensors


def _tensor(described: Any, own: dict[str, Any], dtype: np.dtype[Any]) -> QuantizedTensor:
    """One weight, in PyTorch's layout; ValueError for what is not one."""
    keys = {"bits", "shape", "zero_point"} | ({"lowest"} if own[LEVELS] is not None else set())
    if not isinstance(described, dict) or set(described) != keys:
        raise ValueError(f"its record must hold {', '.join(sorted(keys))}")
    if own[CODES] is None or own[SCALE] is None:
        raise ValueError("a quantized weight has codes and a scale")
    bits = whole_number("bits", described["bits"], 2, 16)
    shape = whole_numbers("shape", described["shape"], 1)
    if not 1 <= len(shape) <= 4:
        raise ValueError(f"a weight has 1 to 4 axes; got {len(shape)}")
    for part, ranks in ((SCALE, (0, 1)), (LEVELS, (1, 2)), (SHIFT, (1,))):
        _check_floats(part, own[part], dtype, ranks, shape[0])
    codes = _codes(own[CODES], bits, shape)
    zero_point = whole_number("zero_point", described["zero_point"], -(2**15), 2**15)
    levels, lowest = own[LEVELS], 0
    if levels is not None:
        lowest = whole_number("lowest", described["lowest"], -(2**15), 2**15)
        _check_range(codes, lowest, lowest + levels.shape[-1] - 1)
    return QuantizedTensor(bits, codes, own[SCALE], zero_point, levels, lowest, own[SHIFT])


def _codes(codes: npt.NDArray[Any], bits: int, shape: tuple[int, ...]) -> npt.NDArray[np.signedinteger]:
    narrow = bits <= WIDEST_PACKED
    wanted = np.dtype(np.uint8 if narrow else np.int8 if bits <= 8 else np.int16)
    if codes.dtype != wanted or codes.ndim != (1 if narrow else len(shape)):
        raise ValueError(f"codes of {bits} bits must be {wanted}; got {codes.dtype} of shape {codes.shape}")
    if narrow:
        codes = unpack(codes, container_bits(bits), shape)
    elif codes.shape != shape:
        raise ValueError(f"codes must have shape {shape}; got {codes.shape}")
    _check_range(codes, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return codes


def _check_range(codes: npt.NDArray[Any], low: int, high: int) -> None:
    if codes.min() < low or codes.max() > high:
        raise ValueError(f"codes must lie in {low}..{high}; got {codes.min()}..{codes.max()}")


def _check_floats(
    part: str, values: Any, dtype: np.dtype[Any], ranks: tuple[int, ...], channels: int
) -> None:
    """ValueError unless a scale, table or shift is absent, or finite floats, by channel where it has two."""
    if values is None:
        return
    by_channel = values.ndim > ranks[0] or part == SHIFT
    if values.dtype != dtype or values.ndim not in ranks or (by_channel and len(values) != channels):
        raise ValueError(
            f"{part[1:]} must be {dtype} of {' or '.join(map(str, ranks))} axes, one for each of {channels} "
            f"channels; got {values.dtype} of shape {values.shape}"
        )
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"{part[1:]} must be finite numbers, at least one")
