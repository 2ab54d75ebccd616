"""What a quantizer returned, in any of the forms, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array
from psgd_ref.laws.methods.calling import BadResultError
from psgd_ref.laws.methods.packing import unpack

WANTED = (
    "a quantizer is q(w, bits), q(w, targets) or q(w, scale), perhaps with zero_point, bits or axis, a rule "
    "with fit(w), or made from (targets); it returns values in the shape of w, or codes as (codes, scale), "
    "(codes, scale, zero_point) or a mapping of these with a packing: theory/harness.md shows each"
)
_KEYS = ("codes", "scale", "zero_point", "packing")


@dataclass(frozen=True)
class Quantized:
    """A tensor after a quantizer: its values, and where there are some its codes and their scale."""

    value: Array
    codes: npt.NDArray[np.int64] | None = None
    scale: Array | None = None


def read(result: Any, w: Array) -> Quantized:
    """A result in any of the forms.

    Raises
    ------
    BadResultError
        For what is none, with the forms that are.
    """
    if isinstance(result, tuple | list) and len(result) in (2, 3):
        result = dict(zip(_KEYS, result, strict=False))
    elif not isinstance(result, Mapping) and hasattr(result, "codes") and hasattr(result, "scale"):
        result = {key: getattr(result, key) for key in _KEYS if getattr(result, key, None) is not None}
    if isinstance(result, Mapping):
        return _decoded(dict(result), w)
    value = np.asarray(result)
    if value.dtype.kind != "f":
        raise BadResultError(f"it returned {value.dtype}: integer codes need their scale, as (codes, scale)")
    if value.shape != w.shape:
        raise BadResultError(f"it returned shape {value.shape} for weights of shape {w.shape}: {WANTED}")
    if value.dtype != w.dtype:
        raise BadResultError(f"it returned {value.dtype} for {w.dtype} weights: values have the dtype of w")
    return Quantized(value)


def _decoded(parts: dict[str, Any], w: Array) -> Quantized:
    extra = [str(key) for key in parts if key not in _KEYS]
    if extra or not {"codes", "scale"} <= set(parts):
        raise BadResultError(f"codes come as a mapping with {', '.join(_KEYS)}; it has {', '.join(parts)}")
    zero_point = parts.get("zero_point")
    codes = unpack(parts["codes"], parts.get("packing", "none"), w.shape, signed=zero_point is None)
    scale = np.asarray(parts["scale"], dtype=w.dtype)
    shift = np.asarray(0 if zero_point is None else zero_point)
    try:
        with np.errstate(all="ignore"):
            value = np.asarray((codes - shift).astype(w.dtype) * scale)
        np.broadcast_to(value, w.shape)
    except ValueError:
        raise BadResultError(
            f"scale of shape {scale.shape} and zero_point of shape {shift.shape} do not broadcast with w of "
            f"shape {w.shape}; for groups return the values themselves"
        ) from None
    if value.shape != w.shape:
        raise BadResultError(f"scale of shape {scale.shape} is larger than w of shape {w.shape}")
    return Quantized(value, codes, np.abs(scale))
