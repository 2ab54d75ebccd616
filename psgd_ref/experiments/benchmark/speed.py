"""The speed benchmark: this package against PyTorch and others, in processes that take turns.

Every case has processes of its own, as a training has. Much of PyTorch's time for small networks goes
into memory that it gives back and fetches again every step; `keep_memory` spares all sides that.

A ratio is our time over another side's in the same turn, so that a machine which slows down in between slows
both; its median and its quartiles over the turns are reported. Work per second is compared with what the
machine gives to a large matrix product (sgemm) or to a long triad a = b + 3c in the same run.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from psgd_ref.experiments.benchmark.against import prepare
from psgd_ref.experiments.benchmark.cases import CASES, Case
from psgd_ref.experiments.benchmark.rows import Measured, Result, Row, unit_of
from psgd_ref.experiments.shared.workers import THREAD_VARIABLES

# With these the C library keeps the memory that is given back, as it does in a process that has had large
# arrays before, instead of fetching it anew from the system every step.
KEEP = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}

PEAKS: dict[str, dict[str, Any]] = {
    "sgemm": {"work": "sgemm"},
    "triad 464k": {"work": "triad", "size": 464_000},
    "triad 25M": {"work": "triad", "size": 25_000_000},
}


@dataclass(frozen=True, eq=False)
class Rival:
    """A side that ours is compared with.

    Parameters
    ----------
    name, module : str
        The head of its column, and what its process runs, in this folder.
    extra, environ : dict
        Options beyond those of the case, and variables of its process.
    folder : Path, optional
        Where it runs, this process's own by default.
    """

    name: str
    module: str
    extra: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def start(self, threads: int, keep_memory: bool) -> "Side":
        """Its process."""
        return Side(self.module, threads, keep_memory, self.environ, self.folder)

    def plays(self, case: Case) -> bool:
        """Whether it is timed for that case."""
        if self.module in ("pytorch", "ours"):
            return case.opponent == self.module and (not self.extra or (case.headline and _compilable(case)))
        return case.headline and (self.module == "build" or _compilable(case))


def _compilable(case: Case) -> bool:
    return case.work in ("train", "evaluate")


class Side:
    """A process that times what it is asked to (`worker`)."""

    def __init__(
        self,
        name: str,
        threads: int,
        keep_memory: bool = False,
        environ: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            # Ctrl-C is this process's business, which ends that one.
            start_new_session=True,
            cwd=folder,  # where `-m` looks first
            env=os.environ
            | dict.fromkeys(THREAD_VARIABLES, str(threads))
            | (KEEP if keep_memory else {})
            | (environ or {}),
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


def has(package: str) -> bool:
    """Whether a package of the extra `compare`, "torch" or "jax", can be imported here."""
    return find_spec(package) is not None


def rivals(peers: bool = False) -> list[Rival]:
    """The sides that are installed; with `peers` also `torch.compile` and JAX."""
    found = [Rival("ours", "ours")]
    if has("torch"):
        found.append(Rival("PyTorch", "pytorch"))
        if peers:
            found.append(Rival("torch.compile", "pytorch", {"compiled": True}))
    if peers and has("jax"):
        found.append(Rival("JAX", "jax_net"))
    return found


def select(words: Sequence[str]) -> list[Case]:
    """Cases whose name holds one of the words, all without words; ValueError when none does."""
    chosen = [case for case in CASES if not words or any(word.lower() in case.name.lower() for word in words)]
    if not chosen:
        raise ValueError(
            f"no case is named {' or '.join(words)}; there are {', '.join(c.name for c in CASES)}"
        )
    return chosen


def run(
    words: Sequence[str] = (),
    turns: int = 5,
    threads: int | None = None,
    keep_memory: bool = False,
    peers: bool = False,
    builds: Sequence[Path] = (),
) -> Result:
    """Time the selected cases, all sides in turn.

    Parameters
    ----------
    words, turns
        The cases as in `select`, and how often each side is timed.
    threads
        Of each side, one for each core by default.
    keep_memory
        Whether the C library keeps freed memory, in all sides' processes.
    peers, builds
        Whether `torch.compile` and JAX join, if installed; other wheels or checkouts (`against.prepare`).
    """
    # What only other builds are compared with takes long: without them it has to be asked for.
    cases = [case for case in select(words) if words or builds or case.opponent != "build"]
    threads = threads or os.cpu_count() or 1
    with ExitStack() as environments:
        sides = rivals(peers)
        for build in builds:
            folder = Path(environments.enter_context(TemporaryDirectory()))
            sides.insert(0, Rival(build.name, "build", {}, prepare(build, folder), folder))
        peaks = {}
        with Side("ours", threads) as ours:
            for name, request in PEAKS.items():
                amount = ours.ask(build=request)["amount"]
                peaks[name] = amount / min(ours.ask(time=True)["seconds"] for _ in range(3))
        rows = []
        for case in _progress(cases):
            with ExitStack() as running:
                ours = running.enter_context(Side("ours", threads, keep_memory))
                others = {
                    rival: running.enter_context(rival.start(threads, keep_memory))
                    for rival in sides
                    if rival.plays(case)
                }
                rows.append(_time(case, ours, others, turns, peaks))
    return Result(rows, peaks)


def _progress(cases: list[Case]) -> "tqdm[Case]":
    return tqdm(cases, "timing", unit="case", disable=not sys.stderr.isatty())


def _time(case: Case, ours: Side, others: dict[Rival, Side], turns: int, peaks: dict[str, float]) -> Row:
    amount = ours.ask(build=case.request("ours"))["amount"]
    for rival, side in list(others.items()):
        try:
            side.ask(build=case.request("theirs") | rival.extra)
        except ChildProcessError as error:
            print(f"{case.name}: {rival.name} cannot do this here ({error})", file=sys.stderr)
            del others[rival]
    mine, theirs = [], {rival.name: list[float]() for rival in others}
    for _ in range(turns):
        mine.append(ours.ask(time=True)["seconds"])
        for rival, side in others.items():
            theirs[rival.name].append(side.ask(time=True)["seconds"])
    peak = "sgemm"
    if case.work == "optimizer":
        peak = "triad 464k" if case.options["model"] == "resnet" else "triad 25M"
    rate = amount / median(mine)
    held = {rival.name: side.ask(memory=True)["bytes"] for rival, side in others.items()}
    measured = {name: _measured(mine, seconds, held[name]) for name, seconds in theirs.items()}
    return Row(
        case.name,
        median(mine),
        measured,
        case.target,
        rate,
        unit_of(peak),
        rate / peaks[peak],
        ours.ask(memory=True)["bytes"],
    )


def _measured(mine: list[float], theirs: list[float], held: float) -> Measured:
    """Ratios are taken turn by turn."""
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    quarters = quantiles(ratios, n=4) if len(ratios) > 1 else None
    middle = (quarters[0], quarters[2]) if quarters else None
    return Measured(median(theirs), median(ratios), middle, held)
