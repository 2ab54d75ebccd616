"""Which weights share a scale: seen from which results change when one weight grows."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from psgd_ref.laws.methods.quantizers import Quantization

_SHAPE = (8, 512)


@dataclass(frozen=True)
class Scope:
    """Which weights share a scale.

    Parameters
    ----------
    name
        In words.
    group
        How many neighbours share a scale, None where no fixed number does.
    """

    name: str
    group: int | None = None


def scope_of(quantization: Quantization, bits: int, dtype: Any) -> Scope:
    """The scope on a matrix; of a quantizer whose scale is given, what the harness gave."""
    if quantization.given:
        return Scope("given: channel of the last axis" if "axis" in quantization.takes else "given")
    w = np.random.default_rng(2).standard_normal(_SHAPE).astype(dtype)
    larger = w.copy()
    # As w, but for a weight that takes every other one's level: 100 times the largest.
    at = (3, 77)
    larger[at] = 100.0
    try:
        before, after = quantization(w, bits).value, quantization(larger, bits).value
    except Exception:
        return Scope("tensor (it takes no matrix)")
    changed = before != after
    changed[at] = False
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    if not len(rows):
        return Scope("each weight by itself")
    if len(rows) > 1:
        return Scope("channel of axis 1" if len(columns) == 1 else "tensor")
    reach = int(columns[-1] - columns[0] + 1)
    group = 1 << (reach - 1).bit_length()
    return Scope("channel of axis 0") if group >= _SHAPE[1] else Scope(f"group of {group}", group)
