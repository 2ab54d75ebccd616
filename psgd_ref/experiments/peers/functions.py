"""What a peer's quantizer is as a function: its description, and its staircase for a largest weight of 1."""

from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.experiments.peers.peer import Peer, PeerError
from psgd_ref.experiments.peers.registry import Family
from psgd_ref.laws.description.describe import describe
from psgd_ref.laws.description.scope import scope_of
from psgd_ref.laws.methods.quantizers import Quantization, as_quantization

# Seconds for a quantizer at all its bits; some compile code of their own first.
PATIENCE = 900.0
# The staircase's weights, −1 … 1.
POINTS = np.linspace(-1, 1, 257)
DIGITS = 7


def records(family: Family, python: Path, patience: float = PATIENCE) -> Iterator[dict[str, Any]]:
    """One record a quantizer and width, in the order of the family's module.

    Each has "name" and "bits", and "description", "w" and "q", or else "error" in words. Every quantizer
    has a process of its own.
    """
    for title, (function, widths) in family.quantizers.items():
        with Peer(python, family.module, patience) as peer:
            quantizer = _near(peer, function, title)
            for bits in widths:
                yield {"name": title, "bits": bits, **_found(quantizer, bits)}


def staircase(quantization: Quantization, bits: int) -> tuple[Array, Array]:
    """Evenly spaced weights −1 … 1, and what becomes of them where the largest of their group is 1."""
    w = POINTS.astype(np.float32)
    group = scope_of(quantization, bits, np.dtype(np.float32)).group
    if group is None or group >= len(w):
        return w, quantization.flat(w, bits).value
    ends = np.array([1, -1], np.float32)
    # A group at a time, with both ends in each.
    parts = [w[k : k + group - 2] for k in range(0, len(w), group - 2)]
    return w, np.concatenate(
        [quantization.flat(np.concatenate([ends, part]), bits).value[2:] for part in parts]
    )


def _found(quantizer: Callable[..., Any], bits: int) -> dict[str, Any]:
    try:
        description = describe(quantizer, bits, "float32").as_json()
        w, q = staircase(as_quantization(quantizer), bits)
    except (ValueError, PeerError) as error:
        return {"error": str(error)}
    values = {name: [round(float(x), DIGITS) for x in part] for name, part in (("w", w), ("q", q))}
    return {"description": description, **values}


def _near(peer: Peer, function: Callable[..., Any], title: str) -> Callable[..., Any]:
    """The far function as one that is called here, with the same parameters."""

    def quantizer(w: Array, **options: Any) -> Any:
        plain = {name: float(x) if isinstance(x, np.generic) else x for name, x in options.items()}
        found = peer(function.__name__, {"w": w}, **plain)
        return found.get("value", found)

    quantizer.__name__ = title
    quantizer.__signature__ = signature(function)  # type: ignore[attr-defined]
    return quantizer
