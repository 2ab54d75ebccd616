"""How the cost of a training step grows: time and memory against batch, width, depth, threads and weights."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

from psgd_ref.experiments.benchmark import files
from psgd_ref.experiments.benchmark.worker import peak
from psgd_ref.experiments.shared.workers import cores, processes

BASE = {"batch": 64, "width": 16, "depth": 20}
AXES: dict[str, tuple[int, ...]] = {
    "batch": (16, 32, 64, 128, 256),
    "width": (8, 16, 32, 64),
    "depth": (8, 20, 32, 44, 56),
    # Elsewhere one.
    "threads": (1, 2, *(n for n in (4, 8, 16, 32, 64) if n <= cores())),
    # Of the optimiser's step alone: here nothing else depends on them.
    "weights": (100_000, 400_000, 1_600_000, 6_400_000, 25_600_000),
}
IMAGE, CLASSES = (32, 32, 3), 10
# Steps are timed for so long, and at least so many, in so many rounds over all points.
SECONDS, STEPS, ROUNDS = 1.0, 3, 3


@dataclass(frozen=True)
class Point:
    """One measurement: the value on its axis, seconds of a step, bytes at the peak."""

    axis: str
    value: int
    seconds: float
    bytes: float


@dataclass(frozen=True)
class Result:
    """All points; slopes are exponents: a slope of 1 is proportional growth."""

    points: list[Point]

    def slope(self, axis: str, quantity: str) -> float:
        """The slope of log quantity against log value, by least squares.

        Parameters
        ----------
        axis : str
            A name of `AXES`.
        quantity : str
            "seconds" or "bytes".
        """
        here = [point for point in self.points if point.axis == axis]
        logs = np.log([[point.value, getattr(point, quantity)] for point in here])
        return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])

    def table(self) -> str:
        """The points and slopes as Markdown."""
        from psgd_ref.experiments.shared.tables import markdown

        lines = [
            [p.axis, f"{p.value:,}", f"{1e3 * p.seconds:.3g}", f"{p.bytes / 1e6:.3g}"] for p in self.points
        ]
        lines += [
            [f"slope, {axis}", "", *(f"{self.slope(axis, q):z.2f}" for q in ("seconds", "bytes"))]
            for axis in dict.fromkeys(point.axis for point in self.points)
        ]
        return markdown(["axis", "value", "ms a step", "MB"], lines, "lrrr")

    def as_json(self) -> dict[str, Any]:
        """The same as plain numbers."""
        axes = dict.fromkeys(point.axis for point in self.points)
        slopes = {axis: {q: self.slope(axis, q) for q in ("seconds", "bytes")} for axis in axes}
        return {"points": [asdict(point) for point in self.points], "slopes": slopes}


def select(words: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Values of the axes whose name holds one of the words, of all axes without words.

    Raises
    ------
    ValueError
        When no name holds any of the words.
    """
    chosen = {axis: values for axis, values in AXES.items() if not words or any(w in axis for w in words)}
    if not chosen:
        raise ValueError(f"no axis is named {' or '.join(words)}; there are {', '.join(AXES)}")
    return chosen


def run(axes: Mapping[str, Sequence[int]] | None = None) -> Result:
    """Measure every point in a fresh process of one thread, or of as many as are asked for.

    Of some rounds the fastest counts: what disturbs a computer, perhaps for minutes, only slows it.

    Parameters
    ----------
    axes : mapping, optional
        Values by axis: "batch", "width", "depth" and "threads" of a ResNet, "weights" of PSGD's step alone;
        by default `AXES`.
    """
    jobs = [(axis, value) for axis, values in (axes or AXES).items() for value in values]
    found: dict[tuple[str, int], Point] = {}
    for job in tqdm(jobs * ROUNDS, "measuring", unit="point", disable=not sys.stderr.isatty()):
        threads = job[1] if job[0] == "threads" else 1
        if job not in found:
            # What compiles takes more memory than most steps, so it is another process.
            with processes(1, threads) as pool:
                pool.submit(rehearse, *job).result()
        with processes(1, threads) as pool:
            point = pool.submit(measure, *job).result()
        found[job] = min(found.get(job, point), point, key=lambda p: p.seconds)
    return Result([found[job] for job in jobs])


def rehearse(axis: str, value: int) -> None:
    """Take one step, for which every kernel is compiled and kept."""
    _step(axis)(axis, value)()


def measure(axis: str, value: int) -> Point:
    """One point: the median seconds of a step, and its memory.

    The memory is what this process took, in bytes, beyond what a tiny step of the same kind needs.

    Parameters
    ----------
    axis : str
        A name of `AXES`.
    value : int
        On that axis.
    """
    step = _step(axis)
    step(axis, None)()
    before = peak()
    call = step(axis, value)
    call()
    seconds: list[float] = []
    while sum(seconds) < SECONDS or len(seconds) < STEPS:
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return Point(axis, value, median(seconds), max(float(peak() - before), 1.0))


def save(result: Result, folder: Path) -> dict[str, Path]:
    """Write the picture and its numbers into the folder and return their paths."""
    from psgd_ref.figures.growth import draw

    return files.save(result, draw, folder / "growth")


def _step(axis: str) -> Callable[[str, int | None], Any]:
    return _optimizer if axis == "weights" else _network


def _network(axis: str, value: int | None) -> Any:
    """A PSGD training step of a ResNet; without a value a tiny one that loads the compiled kernels."""
    from psgd_ref.compress import MinMaxGrid
    from psgd_ref.models import resnet
    from psgd_ref.training import PSGD

    size = {"batch": 1, "width": 8, "depth": 8} if value is None else {**BASE, axis: value}
    rng = np.random.default_rng(0)
    model = resnet(size["depth"], CLASSES, width=size["width"])
    images = rng.standard_normal((size["batch"], *IMAGE)).astype(np.float32)
    labels = rng.integers(0, CLASSES, size["batch"])
    optimizer = PSGD(1e-3, grid=MinMaxGrid(4))
    state = optimizer.init(model)

    def step() -> None:
        model.loss_and_grad(images, labels)
        optimizer.update(model, state)

    return step


def _optimizer(axis: str, value: int | None) -> Any:
    """PSGD's step alone, on one perceptron layer of as many weights."""
    from psgd_ref.compress import MinMaxGrid
    from psgd_ref.models import mlp
    from psgd_ref.training import PSGD

    model = mlp(((value or 1000) // 100, 100))
    model.g[...] = np.random.default_rng(0).standard_normal(model.g.size)
    optimizer = PSGD(1e-6, grid=MinMaxGrid(4))
    state = optimizer.init(model)
    return lambda: optimizer.update(model, state)
