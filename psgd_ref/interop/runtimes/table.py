"""What runtimes did with a file, as text and as a record."""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from psgd_ref.interop.runtimes.compare import Result, remarks

# What decides how a CPU adds products of bytes and halves.
FEATURES = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
HEADS = ("runtime", "version", "error", "differ", "bytes", "time")


def cells(result: Result) -> tuple[str, ...]:
    """A row of the table, by `HEADS`."""
    if result.error is None:
        return result.name, result.versions, result.reason, "", "", ""
    time = "" if result.ratio is None else f"{result.ratio:.1f}"
    return result.name, result.versions, f"{result.error:.0e}", f"{result.differ}", f"{result.bytes:,}", time


def markdown(results: Sequence[Result]) -> str:
    """The table, and a line for every runtime that is wrong."""
    rows = [HEADS, ("---",) * 2 + ("---:",) * 4, *(cells(result) for result in results)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {line}" for line in remarks(results))]).rstrip() + "\n"


def record(path: Path, images: int, results: Sequence[Result]) -> dict[str, Any]:
    """The same with all that was measured, for JSON."""
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "images": images,
        "results": [asdict(result) | {"right": result.right} for result in results],
        "remarks": remarks(results),
    }


def circumstances() -> dict[str, Any]:
    """The day and the machine: what a runtime does depends on what its CPU can."""
    return {
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": [feature for feature in FEATURES if feature in cpu_flags()],
    }


def cpu_flags() -> set[str]:
    """What the CPU can, by Linux's names; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return {word for line in lines if line.startswith("flags") for word in line.split()}
