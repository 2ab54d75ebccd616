"""The quantizers that the playground compares, for tensors with largest weights of −1 and 1."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from psgd_ref.compress import GRIDS
from psgd_ref.core.targets import FiniteTargets, Targets, UniformGrid

# What grids that look at all weights are fitted to: normal weights, as many in each part of the law.
NORMAL = np.array([NormalDist().inv_cdf((k + 0.5) / 1001) for k in range(1001)])
NORMAL /= NORMAL.max()
# The tables of bitsandbytes 0.50.2.
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
    *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
    *(0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941),
    *(0.7229568362236023, 1.0),
)
FP4 = (0.0, 0.0052083333, 0.1666666667, 0.25, 0.3333333333, 0.5, 0.6666666667, 1.0)


def records(root: Path) -> list[dict[str, Any]]:
    """One record a quantizer and width: name, kind, bits, values; or w and q where it was measured."""
    return [*_ours(), *_formulas(), *_measured(root)]


def grids() -> Iterator[tuple[str, int, Targets]]:
    """Our rules, fitted."""
    for name, rule in GRIDS.items():
        for bits in (2, 3, 4):
            yield name, bits, rule(bits, False).fit(NORMAL)


def values(targets: Targets) -> list[float]:
    """The values of a finite set of targets."""
    if isinstance(targets, FiniteTargets):
        return [float(value) for value in targets.values]
    assert isinstance(targets, UniformGrid)
    assert targets.levels is not None
    return [k * targets.step for k in range(-targets.levels, targets.levels + 1)]


def _ours() -> Iterator[dict[str, Any]]:
    for name, bits, targets in grids():
        yield {"name": name, "kind": "ours", "bits": bits, "values": values(targets)}


def _formulas() -> Iterator[dict[str, Any]]:
    """Scale and integers of each, as `M/(2^(b−1) − ½)` for a largest weight M."""

    def formula(name: str, bits: int, found: Any) -> dict[str, Any]:
        return {"name": name, "kind": "formula", "bits": bits, "values": [float(value) for value in found]}

    for bits in (2, 3, 4):
        half = 2 ** (bits - 1)
        steps = np.arange(-half, half)
        yield formula("torchao symmetric, compressed-tensors, qwix", bits, steps / (half - 0.5))
        yield formula("brevitas, fixed point", bits, steps[1:] / half)
        if bits != 3:
            yield formula("ONNX Runtime MatMulNBits", bits, -steps[::-1] / half)
        yield formula("asymmetric: NNCF INT_ASYM", bits, 2 * np.arange(2 * half) / (2 * half - 1) - 1)
    yield formula("gguf Q4_0, NNCF INT4_SYM", 4, -np.arange(-8, 8)[::-1] / 8)
    yield formula("ONNX Runtime QInt4", 4, np.arange(-8, 8) / 7.5)
    yield formula("bitsandbytes nf4", 4, NF4)
    yield formula("bitsandbytes fp4", 4, sorted({sign * value for value in FP4 for sign in (-1, 1)}))


def _measured(root: Path) -> Iterator[dict[str, Any]]:
    """Records of the folder of peers that hold weights and what became of them."""
    for path in sorted((root / "notebooks/peers/records").rglob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        for record in found if isinstance(found, list) else [found]:
            if isinstance(record, dict) and {"name", "bits", "w", "q"} <= set(record):
                yield {"kind": "measured", **{key: record[key] for key in ("name", "bits", "w", "q")}}
