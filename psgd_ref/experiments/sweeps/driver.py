"""A sweep: many training runs on any executor, each result written down as it comes."""

import sys
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, as_completed
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

from psgd_ref.data import fetch
from psgd_ref.experiments.store.identity import canonical, code_version
from psgd_ref.experiments.store.sweeps import DATABASE, Entry, RunStore
from psgd_ref.experiments.sweeps.engines import Engine
from psgd_ref.experiments.sweeps.plan import ENTRY, Run
from psgd_ref.experiments.sweeps.run import CodeError, Job, Outcome, begun, compute
from psgd_ref.interop.alone import alone
from psgd_ref.training.runs.run import whole_metrics

RUNS = "runs"
# So often in a row may all workers be lost without a run that ends, before the sweep stops.
LOSSES = 3
# Seconds between lines of progress where no terminal shows a bar.
INTERVAL = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Status:
    """How far a sweep is.

    Parameters
    ----------
    runs : sequence of Run
        All of the sweep.
    entries : dict
        How runs ended, by identity.
    begun : dict
        Epochs finished, by identity, of runs under way or left under way by a sweep that was killed.
    """

    runs: Sequence[Run]
    entries: dict[str, Entry]
    begun: dict[str, int]

    @property
    def done(self) -> list[Run]:
        """Runs that ended with a result."""
        return [run for run in self.runs if run.identity in self.entries and self._error(run) is None]

    @property
    def failed(self) -> list[Run]:
        """Runs that ended with an error."""
        return [run for run in self.runs if run.identity in self.entries and self._error(run) is not None]

    @property
    def left(self) -> list[Run]:
        """Runs that have not ended."""
        return [run for run in self.runs if run.identity not in self.entries]

    def _error(self, run: Run) -> str | None:
        return self.entries[run.identity].error

    def as_json(self) -> list[dict[str, Any]]:
        """One object for each run, in the order of the file."""
        return [self._object(run) for run in self.runs]

    def _object(self, run: Run) -> dict[str, Any]:
        entry = self.entries.get(run.identity)
        state = "left" if entry is None else "failed" if entry.error else "done"
        known = {} if entry is None else {k: v for k, v in asdict(entry).items() if k in ("seconds", "error")}
        result = (entry.result if entry is not None else None) or {}
        about = {"identity": run.identity, "method": run.method, "options": run.varied, "state": state}
        return {**about, "epochs": self.begun.get(run.identity), **known, **result}


def status(runs: Sequence[Run], folder: Path) -> Status:
    """How far the sweep in a folder is; it may be running, and it may not have begun."""
    entries = {}
    if (folder / DATABASE).exists():
        with closing(RunStore(folder)) as store:
            entries = store.entries(run.identity for run in runs)
    folders = {run.identity: begun(folder / RUNS, run.identity) for run in runs}
    under_way = {
        identity: len(whole_metrics(found[0])[0])
        for identity, found in folders.items()
        if found and identity not in entries
    }
    return Status(runs, entries, under_way)


def run(
    runs: Sequence[Run],
    folder: Path,
    engine: Engine,
    data_folder: Path | None = None,
    retry: bool = False,
    say: Say = lambda text: tqdm.write(text, file=sys.stderr),
) -> Status:
    """Compute the runs that have no result yet in `folder`, and return how far the sweep then is.

    A run that fails is recorded with its error and does not stop the rest. Runs whose process was killed
    are resumed from their last checkpoint, here, or at the next call when the sweep itself was killed. The
    results do not depend on the engine.

    Parameters
    ----------
    runs : sequence of Run
        Of `read_plan`.
    folder : Path
        Of the results and of the runs' checkpoints.
    engine : callable
        Opens the executor (`psgd_ref.experiments.sweeps.engines.engine`).
    data_folder : Path, optional
        Where downloaded data sets live; a missing one is fetched first.
    retry : bool
        Try runs again that failed.
    say : callable
        Told of what happens, a line each.

    Raises
    ------
    ValueError
        When another sweep is running in the folder, and when a worker has other code.
    OSError
        When the folder cannot be written.
    """
    with alone(folder, f"another sweep is running in {folder}; wait for it, or see --status"):
        for name in dict.fromkeys(run.configuration.data for run in runs):
            fetch(name, data_folder)
        with closing(RunStore(folder)) as store:
            if retry:
                store.forget_failures(run.identity for run in runs)
            _Sweep(runs, folder, store, data_folder, say).to_the_end(engine)
    return status(runs, folder)


class _Sweep:
    """A sweep under way."""

    def __init__(
        self, runs: Sequence[Run], folder: Path, store: RunStore, data_folder: Path | None, say: Say
    ) -> None:
        self.runs, self.folder, self.store = runs, folder.absolute() / RUNS, store
        self.data_folder = None if data_folder is None else data_folder.absolute()
        self.say = say

    def to_the_end(self, engine: Engine) -> None:
        known = self.store.entries(run.identity for run in self.runs)
        report = _Report(len(self.runs), known, self.say)
        losses = 0
        with report.bar:
            while left := self._left(first_those_begun=losses == 0):
                before = report.ended
                with engine() as executor:
                    ended = self._compute(executor, left, report)
                if ended == len(left):
                    return
                losses = 1 if report.ended > before else losses + 1
                if losses == LOSSES:
                    self.say(f"stopped: workers were lost {LOSSES} times without a run that ended")
                    return
                self.say(
                    f"{len(left) - ended} runs were lost: a worker process was killed, perhaps for want of "
                    "memory; they go on from their last checkpoints"
                )

    def _compute(self, executor: Executor, runs: Sequence[Run], report: "_Report") -> int:
        """Send runs to the executor and write down how they end; returns how many did."""
        futures: dict[Future[Outcome | None], Run] = {}
        # A pool may break while runs are still being sent.
        with suppress(BrokenExecutor):
            for run in runs:
                futures[executor.submit(compute, self._job(run))] = run
        return sum([self._collect(future, futures[future], report) for future in as_completed(futures)])

    def _left(self, first_those_begun: bool) -> list[Run]:
        """Runs without a result. One that takes its worker with it must not always come first."""
        known = self.store.entries(run.identity for run in self.runs)
        left = [run for run in self.runs if run.identity not in known]
        return sorted(left, key=lambda run: bool(begun(self.folder, run.identity)) != first_those_begun)

    def _job(self, run: Run) -> Job:
        return Job(
            run.identity, code_version(ENTRY), run.configuration, run.measure, self.folder, self.data_folder
        )

    def _collect(self, future: "Future[Outcome | None]", run: Run, report: "_Report") -> bool:
        """Write down how a run ended; False when it did not end but was lost or interrupted."""
        about = (run.identity, canonical(run.contents), code_version(ENTRY))
        try:
            outcome = future.result()
        except (BrokenExecutor, CancelledError):
            return False
        except CodeError:
            raise
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            line = " ".join(f"{type(error).__name__}: {error}".split())
            self.store.record(Entry(*about, error=line, trace=trace))
            report.end(f"failed: {run}: {line}", failed=True)
            return True
        if outcome is None:
            return False
        self.store.record(Entry(*about, result=outcome.result, seconds=outcome.seconds, place=outcome.place))
        report.end(None)
        return True


class _Report:
    """Progress with the time left: a bar for a person who watches, else a line now and then."""

    def __init__(self, total: int, known: dict[str, Entry], say: Say) -> None:
        self.total, self.say, self.ended = total, say, 0
        self.known = len(known)
        self.failures = sum(entry.error is not None for entry in known.values())
        self.begun, self.spoken = perf_counter(), perf_counter()
        self.bar = tqdm(
            desc="sweep", total=total, initial=self.known, unit="run", disable=not sys.stderr.isatty()
        )

    def end(self, message: str | None, failed: bool = False) -> None:
        self.ended += 1
        self.failures += failed
        if message is not None:
            self.say(message)
        self.bar.set_postfix(failed=self.failures, refresh=False)
        self.bar.update()
        now, done = perf_counter(), self.known + self.ended
        if self.bar.disable and (now - self.spoken > INTERVAL or done == self.total):
            seconds = (now - self.begun) / self.ended * (self.total - done)
            text = f"{done} of {self.total} runs, {self.failures} failed"
            self.say(f"{text}, {tqdm.format_interval(seconds)} left")
            self.spoken = now
