"""The loop over threads: every turn once, and nobody waits while there is work."""

import numpy as np
import pytest

from psgd_ref.kernels import BACKEND
from psgd_ref.kernels.compile import body, kernel
from psgd_ref.kernels.parallel import for_each, start_threads
from tests.kernels.processes import run_python

pytestmark = pytest.mark.skipif(BACKEND != "tile", reason="about the compiled kernels")

_PAYS = 1 << 20  # operations for which threads are called


@kernel
def _mark(workers, done, work):
    for_each(len(workers), work, _mark_turn, (workers, done))


@body
def _mark_turn(index, worker, workers, done):
    workers[index] = worker
    done[index] += 1


def mark(count, work):
    """Which worker took each of so many turns, and how often each was taken."""
    start_threads()
    workers, done = np.full(count, -1), np.zeros(count, np.int64)
    _mark(workers, done, work)
    return workers, done


@kernel
def _wait_for_rest(done, patience):
    for_each(len(done), _PAYS, _first_turn_waits, (done, patience))


@body
def _first_turn_waits(index, worker, done, patience):
    if index > 0:
        done[index] = 1
        return
    for _ in range(patience):
        rest = 0
        for i in range(1, len(done)):
            rest += done[i]
        done[0] = rest
        if rest == len(done) - 1:
            return


def beside_a_slow_turn(count):
    """How many of the other turns are taken while the first waits for them, for some seconds at most."""
    start_threads()
    done = np.zeros(count, np.int64)
    _wait_for_rest(done, 100_000_000)
    return int(done[0])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_turn_is_taken_once(threads):
    code = """
from psgd_ref.kernels.parallel import THREADS
from tests.kernels.test_parallel import _PAYS, mark
for count in (0, 1, 2, 3, 5, 64, 300):
    for work in (0, _PAYS):
        workers, done = mark(count, work)
        assert (done == 1).all()
        assert ((0 <= workers) & (workers < THREADS)).all()
"""
    run_python(code, NUMBA_NUM_THREADS=threads)


def test_a_slow_turn_keeps_no_other_waiting():
    """The turns behind it in its worker's own range are taken by the other worker."""
    code = "from tests.kernels.test_parallel import beside_a_slow_turn; print(beside_a_slow_turn(40))"
    assert int(run_python(code, NUMBA_NUM_THREADS=2).stdout) == 39
