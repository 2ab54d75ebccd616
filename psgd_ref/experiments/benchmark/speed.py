"""The speed benchmark: this package against PyTorch, in two processes that take turns.

Every case has two processes of its own, as a training has. Much of PyTorch's time for small networks goes
into memory that it gives back and fetches again every step; `keep_memory` spares both sides that.

A ratio is our time over PyTorch's in the same turn, so that a machine which slows down in between slows
both; its median and its quartiles over the turns are reported. Work per second is compared with what the
machine gives to a large matrix product (sgemm) or to a long triad a = b + 3c in the same run.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from statistics import median, quantiles
from typing import Any

from tqdm import tqdm

from psgd_ref.experiments.benchmark.cases import CASES, Case
from psgd_ref.experiments.shared.workers import THREAD_VARIABLES

# With these the C library keeps the memory that is given back, as it does in a process that has had large
# arrays before, instead of fetching it anew from the system every step.
KEEP = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}

PEAKS = {
    "sgemm": {"work": "sgemm"},
    "triad 464k": {"work": "triad", "size": 464_000},
    "triad 25M": {"work": "triad", "size": 25_000_000},
}


@dataclass(frozen=True)
class Row:
    """What was found for one case; seconds are medians, ratio is ours to the other side's.

    The other side is PyTorch, or a second process of ours for the cases named "… / plain".
    """

    name: str
    seconds: float
    other_seconds: float | None
    ratio: float | None
    quartiles: tuple[float, float] | None
    target: float | None
    rate: float
    unit: str
    share: float


@dataclass(frozen=True)
class Result:
    """All rows, and the peaks in FLOP or bytes a second."""

    rows: list[Row]
    peaks: dict[str, float]

    def table(self) -> str:
        """The rows as Markdown."""
        lines = [
            "| case | ms | other ms | ratio (quartiles) | target | rate | of peak |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for row in self.rows:
            theirs = "" if row.other_seconds is None else _milliseconds(row.other_seconds)
            ratio = ""
            if row.ratio is not None and row.quartiles is not None:
                ratio = f"{row.ratio:.2f} ({row.quartiles[0]:.2f}–{row.quartiles[1]:.2f})"
            target = "" if row.target is None else f"{row.target:.2f}"
            lines.append(
                f"| {row.name} | {_milliseconds(row.seconds)} | {theirs} | {ratio} | {target} "
                f"| {row.rate / 1e9:.0f} {row.unit} | {row.share:.0%} |"
            )
        peaks = (f"{name} {rate / 1e9:.0f} {_unit(name)}" for name, rate in self.peaks.items())
        return "\n".join([*lines, "", f"Peaks of this run: {', '.join(peaks)}."])

    def as_json(self) -> dict[str, Any]:
        """The same as plain numbers."""
        return {"rows": [asdict(row) for row in self.rows], "peaks": self.peaks}


def _milliseconds(seconds: float) -> str:
    """Three digits, or all whole ones."""
    return f"{1e3 * seconds:.0f}" if seconds >= 0.1 else f"{1e3 * seconds:.3g}"


def _unit(name: str) -> str:
    return "GB/s" if "triad" in name else "GFLOP/s"


class Side:
    """A process that times what it is asked to (`worker`)."""

    def __init__(self, name: str, threads: int, keep_memory: bool = False) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            # Ctrl-C is this process's business, which ends that one.
            start_new_session=True,
            env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | (KEEP if keep_memory else {}),
        )

    def ask(self, **request: Any) -> dict[str, float]:
        """The answer to one request. Raises ChildProcessError if the process has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ChildProcessError(f"the {self.name} side of the benchmark ended with {self.process.wait()}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.communicate()


def has_torch() -> bool:
    """Whether PyTorch can be imported here (the extra `compare`)."""
    return find_spec("torch") is not None


def select(words: Sequence[str]) -> list[Case]:
    """Cases whose name holds one of the words, all without words; ValueError when none does."""
    chosen = [case for case in CASES if not words or any(word.lower() in case.name.lower() for word in words)]
    if not chosen:
        raise ValueError(
            f"no case is named {' or '.join(words)}; there are {', '.join(c.name for c in CASES)}"
        )
    return chosen


def run(
    words: Sequence[str] = (), turns: int = 5, threads: int | None = None, keep_memory: bool = False
) -> Result:
    """Time the selected cases, both sides in turn where PyTorch is installed.

    threads : of each side, one for each core by default
    keep_memory : whether the C library keeps freed memory, in both sides' processes
    """
    cases = select(words)
    threads = threads or os.cpu_count() or 1
    peaks = {}
    with Side("ours", threads) as ours:
        for name, request in PEAKS.items():
            amount = ours.ask(build=request)["amount"]
            peaks[name] = amount / min(ours.ask(time=True)["seconds"] for _ in range(3))
    rows = []
    for case in _progress(cases):
        with ExitStack() as running:
            ours = running.enter_context(Side("ours", threads, keep_memory))
            there = case.opponent != "pytorch" or has_torch()
            other = running.enter_context(Side(case.opponent, threads, keep_memory)) if there else None
            rows.append(_time(case, ours, other, turns, peaks))
    return Result(rows, peaks)


def _progress(cases: list[Case]) -> "tqdm[Case]":
    return tqdm(cases, "timing", unit="case", disable=not sys.stderr.isatty())


def _time(case: Case, ours: Side, theirs: Side | None, turns: int, peaks: dict[str, float]) -> Row:
    amount = ours.ask(build=case.request("ours"))["amount"]
    if theirs is not None:
        theirs.ask(build=case.request("theirs"))
    mine, others = [], []
    for _ in range(turns):
        mine.append(ours.ask(time=True)["seconds"])
        if theirs is not None:
            others.append(theirs.ask(time=True)["seconds"])
    ratios = [a / b for a, b in zip(mine, others, strict=False)]
    quarters = quantiles(ratios, n=4) if len(ratios) > 1 else None
    peak = "sgemm"
    if case.work == "optimizer":
        peak = "triad 464k" if case.options["weights"] < 1 << 20 else "triad 25M"
    rate = amount / median(mine)
    return Row(
        case.name,
        median(mine),
        median(others) if others else None,
        median(ratios) if ratios else None,
        (quarters[0], quarters[2]) if quarters else None,
        case.target,
        rate,
        _unit(peak),
        rate / peaks[peak],
    )
