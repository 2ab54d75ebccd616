"""What a pipeline makes of a network that lies on its grid: integers, zeros, predictions, size.

A meeting is a function of a folder, see `given`, in the family's environment. It returns "logits", and where
it can be known "weight/NAME", the values that a layer ends with, "bytes" of its file and "float_bytes", and
"seconds" of a pass over the images and "float_seconds".
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.peers.given import Given, read
from psgd_ref.experiments.peers.peer import Peer, PeerError
from psgd_ref.experiments.peers.registry import Family

# Seconds for all networks.
PATIENCE = 900.0
# In steps: so near the middle of two integers rounding says which is nearer, and neither is.
_TIE = 1e-4


def records(
    family: Family, python: Path, networks: list[Path], patience: float = PATIENCE
) -> Iterator[dict[str, Any]]:
    """One record a meeting and network: "meeting", "network", "bits", and what `compared` says, or "error".

    Every meeting has a process of its own, and another one for the next network where that ends.
    """
    for title, (function, options, kinds) in family.meetings.items():
        left = [folder for folder in networks if folder.parent.name in kinds]
        while left:
            with Peer(python, family.module, patience) as peer:
                while left and not peer.ended:
                    given = read(left.pop(0))
                    head = {"meeting": title, "network": given.folder.parent.name, "bits": given.bits}
                    try:
                        found = peer(function.__name__, {}, folder=str(given.folder), **options)
                        yield {**head, **compared(given, found)}
                    except PeerError as error:
                        yield {**head, "error": str(error)}


def compared(given: Given, found: dict[str, Any]) -> dict[str, Any]:
    """What became of the network.

    Returns
    -------
    dict
        "weights" and of them "kept", those whose nearest integer is theirs alone; "error_in_steps", the
        largest distance from it in Δ; "zeros" and "zeros_kept", exactly 0; each over the layers that the
        peer shows. "images", "differ", predictions other than the emulation's; "logits_error", relative to
        the largest logit. "bytes" and "float_bytes" where there is a file, "seconds" and "float_seconds"
        where something runs it.
    """
    result: dict[str, Any] = {}
    shown = [name for name in given.layers if f"weight/{name}" in found]
    if shown:
        pairs = [_in_steps(given, name, found[f"weight/{name}"]) for name in shown]
        codes, values = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
        away = np.abs(values - codes)
        result |= {
            "weights": len(codes),
            "kept": int((away < 0.5 - _TIE).sum()),
            "error_in_steps": _short(away.max()),
            "zeros": int((codes == 0).sum()),
            "zeros_kept": int((values[codes == 0] == 0).sum()),
            "layers": shown,
        }
    if "logits" in found:
        logits, wanted = found["logits"].astype(np.float64), given.logits
        result |= {
            "images": len(wanted),
            "differ": int((logits.argmax(1) != wanted.argmax(1)).sum()),
            "logits_error": _short(np.abs(logits - wanted).max() / np.abs(wanted).max()),
        }
    result |= {name: int(found[name]) for name in ("bytes", "float_bytes") if name in found}
    result |= {name: _short(found[name]) for name in ("seconds", "float_seconds") if name in found}
    return result


def _in_steps(given: Given, name: str, values: Any) -> tuple[Any, Any]:
    codes, scale = given.arrays[f"{name}.codes"], float(given.arrays[f"{name}.scale"])
    if values.shape != codes.shape:
        raise PeerError(f"{name} came back as {values.shape}; it went in as {codes.shape}")
    return codes.ravel().astype(np.float64), values.ravel().astype(np.float64) / scale


def _short(value: float, digits: int = 3) -> float | str:
    """A number of so many digits; NaN and infinity as words, which JSON lacks."""
    return float(f"{value:.{digits}g}") if np.isfinite(value) else str(value)
