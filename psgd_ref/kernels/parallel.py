"""Loops whose turns run on Numba's threads.

`for_each(count, work, body, arguments)` does `body(index, worker, *arguments)` for every index below count.
A worker does one index after another, so that scratch memory is needed once a worker.

Numba's own `parallel=True` does the same, but costs seconds of compilation for every kernel, because it
compiles the body of each loop several times over. Here one small function is compiled with it, `_launch`,
and serves all kernels: it calls the body by its address.

Every worker has its own range of the turns, the same in every loop of that length, so that it meets in its
cache what it wrote itself a loop before. Who is done helps the others: cores need not be equally fast, nor
are they, on a laptop or where other programs run too.
"""

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from numba import get_num_threads, prange
from numba.np.ufunc.parallel import threading_layer

from psgd_ref.kernels import ahead
from psgd_ref.kernels.compile import config, inner, parallel_kernel
from psgd_ref.kernels.tile import call_task, stack_address, stack_zeros, take, task_address, thread_count

# As many as there can be; `numba.set_num_threads` asks for fewer. Workers' numbers are below it.
THREADS: int = config.NUMBA_NUM_THREADS
# Operations below which a second thread does not pay for being called.
_ALONE = 1 << 16
# Bytes of a cache line. Counters of two threads on one line would slow both down.
_LINE = 64


@parallel_kernel
def _launch(count, work, task, arguments):
    if count < 2 or work < _ALONE:
        for index in range(count):
            call_task(task, index, 0, arguments)
    else:
        threads = min(count, thread_count())
        taken = stack_zeros(threads * _LINE)
        for worker in prange(threads):
            for turn in range(threads):
                owner = (worker + turn) % threads
                first, last = count * owner // threads, count * (owner + 1) // threads
                index = first + take(taken + owner * _LINE)
                while index < last:
                    call_task(task, index, worker, arguments)
                    index = first + take(taken + owner * _LINE)


@inner
def for_each(count, work, body, arguments):
    """body(index, worker, *arguments) for 0 ≤ index < count, in any order, on Numba's threads.

    Parameters
    ----------
    count
        How many turns the loop has.
    work
        Operations of the whole loop, roughly.
    body
        A function marked `body`. It is told its worker, 0 ≤ worker < the number of threads.
    arguments
        A tuple.
    """
    _launch(count, work, task_address(body, arguments), stack_address(arguments))


class _Threads:
    """Whether this process has started its threads, and whether it lost them in a fork.

    turn : held by the Python thread whose kernel runs: `lock` where only one may run at a time
    """

    started = False
    lost = False
    lock = threading.RLock()
    turn: AbstractContextManager[object] = nullcontext()


def start_threads() -> None:
    """Start Numba's threads unless they run; needed before a kernel that comes from the cache.

    Numba starts them when it compiles a parallel loop or loads one, but not for a function that only calls
    one: that would call through a null pointer.

    Raises
    ------
    RuntimeError
        In a process forked from one whose OpenMP threads were running: GNU OpenMP does not survive that, and
        Numba would end the process.
    """
    if _Threads.lost:
        raise RuntimeError(
            "this process was forked after the kernels had started OpenMP threads, which a fork does not "
            "copy: start workers with the method 'spawn', or set NUMBA_THREADING_LAYER=workqueue"
        )
    if not _Threads.started:
        get_num_threads()
        _take_turns()
        _Threads.started = True


def launch(call: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """call(*args, **kwargs), its threads started: any number of Python threads may call kernels.

    OpenMP and TBB serve several callers at once. Numba's own threads, the layer "workqueue", serve one, and
    would end the process if a second called: there it is a lock.

    Parameters
    ----------
    name
        Of the kernel, for the helper that compiles its gradient (`ahead`).
    """
    start_threads()
    with _Threads.turn:
        ahead.state.call = name, args
        try:
            return call(*args, **kwargs)
        finally:
            ahead.state.call = None


def _take_turns() -> None:
    if threading_layer() == "workqueue":
        _Threads.turn = _Threads.lock


def _after_fork() -> None:
    try:
        _Threads.lost = threading_layer() == "omp"
        _Threads.lock = threading.RLock()  # whoever held the old one is not in this process
        _take_turns()
    except ValueError:  # no threads were started before the fork
        _Threads.lost = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
