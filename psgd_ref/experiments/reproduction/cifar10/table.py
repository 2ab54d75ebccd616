"""The table `cifar10`: SGD and PSGD on CIFAR-10 at the paper's size, rounded with and without calibration."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from psgd_ref.data.catalogue import VALIDATION
from psgd_ref.data.sources import CIFAR10
from psgd_ref.experiments.reproduction.cifar10.recipe import BATCH_SIZE, Branch, Recipe
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.methods import Need
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.sweeps import driver
from psgd_ref.experiments.sweeps.engines import Engine
from psgd_ref.experiments.sweeps.plan import Run
from psgd_ref.experiments.sweeps.run import ended
from psgd_ref.interop.whole_file import write_json, write_text
from psgd_ref.training.runs.checkpoint import checkpoints
from psgd_ref.training.runs.run import METRICS

# Forward passes of the test images for one rounded model, with and without re-estimated batch norms, which
# see half as many images.
PASSES = 2.5
# A forward pass in parts of a training step.
FORWARD = 1 / 3


@dataclass(frozen=True)
class Row(rows.Row):
    """One line: a branch, a grid, batch norms, a precision.

    `seconds` are of a seed's branch, training and evaluation, the trunk left out.

    Parameters
    ----------
    branch, grid, batch_norm : str
        What was trained, and how it was rounded; `method` is all three together.
    distance : float
        Mean d/Δ at the end of training on the branch's own grid, over seeds.
    """

    branch: str
    grid: str
    batch_norm: str
    distance: float

    def as_json(self) -> dict[str, Any]:
        """The row as plain values, with the precision's short form."""
        return super().as_json() | {"bits": self.precision.label}


@dataclass(frozen=True)
class Source:
    """A run behind the table: its identity, and the SHA-256 of the log of its epochs."""

    run: str
    identity: str
    log: str
    seconds: float


@dataclass(frozen=True)
class Result:
    """All rows, what they come from, and what failed or is left."""

    recipe: Recipe
    rows: list[Row]
    sources: list[Source]
    problems: list[str]

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "recipe": asdict(self.recipe),
            "rows": [row.as_json() for row in self.rows],
            "sources": [asdict(source) for source in self.sources],
            "problems": self.problems,
        }

    @staticmethod
    def read(record: Mapping[str, Any]) -> "Result":
        """The result that `as_json` wrote."""
        return Result(
            Recipe(**{**record["recipe"], "seeds": tuple(record["recipe"]["seeds"])}),
            [Row.read(row) for row in record["rows"]],
            [Source(**source) for source in record["sources"]],
            record["problems"],
        )


def run(recipe: Recipe, folder: Path, engine: Engine, data_folder: Path | None = None) -> Result:
    """Train and evaluate what is not there yet; killed and called again it goes on, see `driver.run`.

    Problems are told in the result and leave rows out. Raises what `driver.run` raises.

    Parameters
    ----------
    recipe : Recipe
        The table's size.
    folder : Path
        Of the sweep; runs and results stay there.
    engine, data_folder
        As in `driver.run`.
    """
    return _result(recipe, folder, lambda runs: driver.run(runs, folder, engine, data_folder))


def so_far(recipe: Recipe, folder: Path) -> Result:
    """What is there of it, while it runs or after it was killed; nothing is computed.

    Raises
    ------
    OSError
        From `driver.status`.
    """
    return _result(recipe, folder, lambda runs: driver.status(runs, folder))


def _result(recipe: Recipe, folder: Path, status: Callable[[Sequence[Run]], driver.Status]) -> Result:
    trunks = recipe.trunks()
    begun = status(trunks)
    if begun.left or begun.failed:
        return Result(recipe, [], [], _problems(begun))
    starts = [checkpoints(ended(folder / driver.RUNS, trunk.identity))[-1].absolute() for trunk in trunks]
    groups = recipe.runs(starts)
    found = status([run for _, runs in groups for run in runs])
    lines = [row for branch, runs in groups for row in _rows(branch, runs, found)]
    known = [(run, part) for part in (begun, found) for run in part.runs if run in part.done]
    return Result(recipe, lines, [_source(run, part, folder) for run, part in known], _problems(found))


def save(result: Result, folder: Path, text: str) -> dict[str, Path]:
    """Write the table in words and its numbers into the folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    table, numbers = folder / "table.md", folder / "table.json"
    write_text(table, text + "\n")
    write_json(numbers, result.as_json())
    return {"table": table, "numbers": numbers}


def estimate(recipe: Recipe, workers: int, seconds_per_step: Callable[[str], float] | None = None) -> float:
    """Hours for all runs, from the time of a training step of one thread.

    Parameters
    ----------
    recipe : Recipe
        The table's size.
    workers : int
        That share the runs.
    seconds_per_step : callable, optional
        From a model's name to the seconds of its step; by default they are measured here (`step_seconds`).
    """
    step = (seconds_per_step or step_seconds)(recipe.model)
    images, held, test = CIFAR10.counts[0] - VALIDATION, VALIDATION, CIFAR10.counts[1]
    epoch = images + 2 * FORWARD * held
    looked_at = sum(len(b.measure.grids) * (1 + len(b.measure.bits)) for b in recipe.branches)
    train_epochs = len(recipe.seeds) * (
        epoch * (recipe.trunk_epochs + recipe.branch_epochs * len(recipe.branches))
        + PASSES * looked_at * FORWARD * test
    )
    return train_epochs / BATCH_SIZE * step / workers / 3600


def step_seconds(model: str) -> float:
    """Median seconds of a training step of one thread, batch 128, in a process of its own."""
    from psgd_ref.experiments.shared.workers import processes

    with processes(1) as pool:
        return pool.submit(_step_seconds, model).result()


def _step_seconds(model: str) -> float:
    from psgd_ref.compress import MinMaxGrid
    from psgd_ref.training import PSGD
    from psgd_ref.training.runs.build import build_model

    rng = np.random.default_rng(0)
    network = build_model(model, CIFAR10.shape, CIFAR10.classes)
    images = rng.standard_normal((BATCH_SIZE, *CIFAR10.shape)).astype(np.float32)
    labels = rng.integers(0, CIFAR10.classes, BATCH_SIZE)
    optimizer = PSGD(0.0, grid=MinMaxGrid(4))
    state = optimizer.init(network)
    seconds = []
    for _ in range(6):
        start = perf_counter()
        network.loss_and_grad(images, labels)
        state = optimizer.update(network, state)
        seconds.append(perf_counter() - start)
    # The first compiles.
    return float(np.median(seconds[1:]))


def _rows(branch: Branch, runs: Sequence[Run], status: driver.Status) -> list[Row]:
    """The rows of a branch over the seeds that are done."""
    cells: dict[tuple[str, str, Precision], list[float]] = {}
    seconds, distances = [], []
    for each in runs:
        entry = status.entries.get(each.identity)
        if entry is None or entry.result is None:
            continue
        seconds.append(entry.seconds or 0.0)
        distances.append(entry.result["metrics"]["mean_distance"])
        for row in entry.result["accuracies"]:
            norms = REESTIMATED if row["reestimated"] else AS_TRAINED
            # What a learned grid gives as it is, is that many bits.
            learned = ("learned", Precision(branch.bits))
            grid, precision = learned if branch.learned else (row["grid"], Precision.read(row["precision"]))
            cells.setdefault((grid, norms, precision), []).append(row["accuracy"])
    return [
        Row(
            method=f"{branch.name} + {grid}, {norms}",
            needs=Need.LABELS,
            precision=precision,
            **rows.statistics(accuracies, seconds),
            branch=branch.name,
            grid=grid,
            batch_norm=norms,
            distance=float(np.mean(distances)),
        )
        for (grid, norms, precision), accuracies in cells.items()
    ]


def _source(run: Run, status: driver.Status, folder: Path) -> Source:
    log = ended(folder / driver.RUNS, run.identity) / METRICS
    digest = hashlib.sha256(log.read_bytes()).hexdigest() if log.exists() else "gone"
    return Source(str(run), run.identity, digest, status.entries[run.identity].seconds or 0.0)


def _problems(status: driver.Status) -> list[str]:
    failed = [f"{run} failed: {status.entries[run.identity].error}" for run in status.failed]
    return failed + [f"{run} is not done; the same command goes on" for run in status.left]
