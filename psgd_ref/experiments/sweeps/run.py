"""One run of a sweep, wherever it is computed: train in a folder of its own, evaluate, report."""

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from psgd_ref.compress import named_grid
from psgd_ref.data import load
from psgd_ref.experiments.store.identity import code_version
from psgd_ref.experiments.sweeps.plan import ENTRY, Measure
from psgd_ref.training import evaluate
from psgd_ref.training.runs.build import insert_fake_quantizer, model_of
from psgd_ref.training.runs.checkpoint import read_checkpoint
from psgd_ref.training.runs.configuration import Configuration
from psgd_ref.training.runs.run import train, whole_metrics

# So much of an identity names a folder; 64 bits do not meet by chance.
NAME = 16


@dataclass(frozen=True)
class Job:
    """What a worker is sent: see `Run`; `folder` holds the folders of all runs."""

    identity: str
    code: str
    configuration: Configuration
    measure: Measure
    folder: Path
    data_folder: Path | None


@dataclass(frozen=True)
class Outcome:
    """What a worker answers.

    Parameters
    ----------
    result : dict
        "accuracies", a list of {grid, reestimated, precision, accuracy}, and "metrics" of the last epoch;
        without times, so that it is the same whoever computes it.
    seconds : float
        Spent here; of a run that was resumed the rest alone.
    place : str
        Computer and process.
    """

    result: dict[str, Any]
    seconds: float
    place: str


class CodeError(ValueError):
    """The worker has other code than whoever sent the run."""


def compute(job: Job) -> Outcome | None:
    """Train, from the last checkpoint where the run was begun before, and evaluate; None when interrupted.

    Raises
    ------
    CodeError
        When this process has other code than the sender.
    ArithmeticError, OSError, ValueError
        As training does.
    """
    code = code_version(ENTRY)
    if code != job.code:
        raise CodeError(f"this worker has psgd_ref {code}; the sweep was started with {job.code}")
    begun = perf_counter()
    folder = claim(job.folder, job.identity)
    try:
        run = train(
            job.configuration,
            folder,
            resume=True,
            data_folder=job.data_folder,
            say=lambda text: print(text, file=sys.stderr),
            show_progress=False,
        )
        if run.interrupted:
            return None
        result = {"accuracies": _evaluated(job, run.checkpoint), "metrics": _timeless(run.metrics[-1])}
    except Exception:
        release(job.folder, job.identity, folder)
        raise
    release(job.folder, job.identity, folder)
    return Outcome(result, perf_counter() - begun, place())


def place() -> str:
    """This computer's name and this process's number."""
    return f"{socket.gethostname()}-{os.getpid()}"


def claim(runs: Path, identity: str) -> Path:
    """The folder in which this process computes a run: what another left of it, else a new name.

    While it is computed a folder is called IDENTITY.COMPUTER-PROCESS. Renaming is the claim: a process
    that was given up as lost but lives finds its folder gone, and so never writes into the new one's.
    """
    name = runs / f"{identity[:NAME]}.{place()}"
    for left in (*begun(runs, identity), ended(runs, identity)):
        try:
            left.rename(name)
        except OSError:
            continue
        return name
    return name


def begun(runs: Path, identity: str) -> list[Path]:
    """Folders of a run that a process has begun and not ended, the one that came farthest first."""
    found = runs.glob(f"{identity[:NAME]}.*")
    return sorted(found, key=lambda folder: len(whole_metrics(folder)[0]), reverse=True)


def ended(runs: Path, identity: str) -> Path:
    """The folder of a run that has ended."""
    return runs / identity[:NAME]


def release(runs: Path, identity: str, folder: Path) -> None:
    """Give the folder of a run that has ended its final name."""
    try:
        folder.rename(ended(runs, identity))
    except OSError:
        # Another process had claimed and ended the same run: what it left is the same.
        return


def _evaluated(job: Job, checkpoint: Path) -> list[dict[str, Any]]:
    data, m = load(job.configuration.data, job.data_folder), job.measure
    model = model_of(job.configuration, data)
    insert_fake_quantizer(job.configuration, model)
    read_checkpoint(checkpoint).load_weights(model)
    fractions = [per_cent / 100 for per_cent in m.sparsities]
    return [
        {"grid": grid, "reestimated": fresh, "precision": precision, "accuracy": accuracy}
        for grid in m.grids
        for fresh in m.reestimate
        for precision, accuracy in evaluate(
            model,
            data,
            m.bits,
            split=m.split,
            grid=named_grid(grid),
            per_channel=m.per_channel,
            reestimate=fresh,
            activations=m.activations,
            sparsities=fractions,
            scope=m.scope,
        ).items()
    ]


def _timeless(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if name != "seconds"}
