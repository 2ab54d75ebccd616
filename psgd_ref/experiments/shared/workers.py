"""Many independent runs on several processes, one thread each, with a progress bar."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import active_children, parent_process, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import RLock, Thread
from typing import TypeVar

from tqdm import tqdm

Job = TypeVar("Job")
Result = TypeVar("Result")

THREAD_VARIABLES = ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run_all(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    workers: int | None,
    title: str,
    first: Sequence[Callable[[], object]] = (),
) -> list[Result]:
    """Results of `function` for every job, in the order of the jobs.

    A failing run ends all with its error.

    Parameters
    ----------
    function : callable
        A module's function.
    jobs : sequence
        Each can be pickled.
    workers : int, optional
        Processes, one for each core by default; the results do not depend on it.
    title : str
        Of the progress bar.
    first : sequence of callables
        Calls that are divided among the workers before the jobs, to compile kernels (`training.warm_up`).

    Returns
    -------
    list
        One result a job.
    """
    results: dict[int, Result] = {}
    with processes(min(workers or cores(), len(jobs))) as pool:
        prepared = [pool.submit(call) for call in first]
        futures = {pool.submit(function, job): i for i, job in enumerate(jobs)}
        done = as_completed(futures)
        for future in tqdm(done, title, len(jobs), unit="run", disable=not sys.stderr.isatty()):
            results[futures[future]] = future.result()
        for future in prepared:
            future.result()
    return [results[i] for i in range(len(jobs))]


@contextmanager
def processes(count: int, threads: int = 1) -> Iterator[ProcessPoolExecutor]:
    """So many fresh processes of some threads each, which end with this process, however it ends.

    An error within, Ctrl-C too, ends them at once, whatever they are at.
    """
    others = active_children()
    with (
        threads_each(threads),
        ProcessPoolExecutor(count, _Undisturbed(), initializer=_end_with_parent) as pool,
    ):
        try:
            yield pool
        except BaseException:
            for child in active_children():
                if child not in others:
                    child.kill()
            # The pool finds its workers gone and ends all jobs itself: cancelled ones would be in its way.
            raise


class _UndisturbedProcess(SpawnProcess):
    """A process that Ctrl-C does not reach: a terminal sends it to all, and this process ends its workers."""

    def start(self) -> None:
        """Start it with interrupts blocked, which it inherits: from its first moment, while it imports."""
        if not hasattr(signal, "pthread_sigmask"):
            super().start()
            return
        # Otherwise started within, and it would let interrupts through again.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Undisturbed(SpawnContext):
    Process = _UndisturbedProcess


def cores() -> int:
    """Cores of this computer, at least 1."""
    return os.cpu_count() or 1


@contextmanager
def threads_each(count: int = 1) -> Iterator[None]:
    """Give processes that are started here so many threads.

    One, where there are several: pools on the same cores get in each other's way.
    """
    # They compile side by side too, without helpers (`kernels/ahead.py`).
    wanted = dict.fromkeys(THREAD_VARIABLES, str(count)) | {"PSGD_REF_AHEAD": "0"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _end_with_parent() -> None:
    """A killed parent cannot tell its workers to end, and they would wait for jobs for ever."""
    # For systems without signal masks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Its own lock would be one between processes, and Python would complain of it in a worker that is killed.
    tqdm.set_lock(RLock())
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()
