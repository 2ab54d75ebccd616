"""A small sweep for tests: its file, its results without times, and how to catch a worker at work."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from psgd_ref.experiments.sweeps.driver import run, status
from psgd_ref.experiments.sweeps.plan import read_plan
from psgd_ref.training.runs.run import read_metrics

TEXT = """
data = "moons"
epochs = 15
batch_size = 200
lr = 0.05
seed = [0, 1]
[evaluate]
bits = [3]
grids = ["min-max", "mse"]
"""
# Quick runs, the second of which grows beyond all bounds.
FAILING = """
data = "moons"
epochs = 1
batch_size = 600
lr = [0.1, 1e30]
[evaluate]
bits = 3
"""


def planned(folder, text=TEXT):
    """The runs of a file with this text."""
    path = folder / "sweep.toml"
    path.write_text(text)
    return read_plan(path)


def here():
    """The plainest executor there is: one thread of this process."""
    return ThreadPoolExecutor(1)


def swept(folder, engine, text=TEXT, **options):
    """Run the sweep in folder/out; returns its status and what it said."""
    said = []
    return run(planned(folder, text), folder / "out", engine, say=said.append, **options), said


def results(found):
    """What every engine must agree on, by run."""
    return {str(run): found.entries[run.identity].result for run in found.runs}


def worker_at_work(folder, runs, epochs=2, patience=120):
    """The process that is computing one of the runs, once it has finished so many epochs."""
    for _ in range(100 * patience):
        for identity, count in status(runs, folder).begun.items():
            for begun in (folder / "runs").glob(f"{identity[:16]}.*"):
                if count >= epochs and len(read_metrics(begun)) >= epochs:
                    return int(begun.name.rpartition("-")[2])
        time.sleep(0.01)
    raise TimeoutError("no worker began a run")


def kill(process):
    os.kill(process, signal.SIGKILL)
