"""Runs on several processes: results in order, one thread each, and the first error ends all."""

import os
from functools import partial
from pathlib import Path

import pytest

from psgd_ref.experiments.shared.workers import THREAD_VARIABLES, run_all


def job(number):
    if number < 0:
        raise ArithmeticError(f"run {number} failed")
    return number, [os.environ.get(name) for name in THREAD_VARIABLES], os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers):
    before = dict(os.environ)
    results = run_all(job, [3, 1, 2], workers, "testing")
    assert [number for number, _, _ in results] == [3, 1, 2]
    assert all(threads == ["1"] * len(THREAD_VARIABLES) for _, threads, _ in results)
    assert os.getpid() not in {process for _, _, process in results}
    assert dict(os.environ) == before


def test_calls_that_come_first_are_made_and_their_errors_end_all(tmp_path):
    assert run_all(job, [5], 1, "testing", [partial(Path.touch, tmp_path / "made")])[0][0] == 5
    assert (tmp_path / "made").exists()
    with pytest.raises(ArithmeticError, match="run -1 failed"):
        run_all(job, [5], 1, "testing", [partial(job, -1)])


def test_a_failing_run_ends_all_with_its_error():
    with pytest.raises(ArithmeticError, match="run -1 failed"):
        run_all(job, [1, -1, 2], 1, "testing")
