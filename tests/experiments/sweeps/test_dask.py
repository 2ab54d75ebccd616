"""Sweeps on dask clusters: a killed worker is survived, failures are recorded, numbers are the same."""

from threading import Thread

import pytest

from psgd_ref.experiments.sweeps.engines import engine
from tests.experiments.sweeps.sweeps import FAILING, here, kill, planned, results, swept, worker_at_work

pytest.importorskip("distributed", reason="needs dask.distributed")


def test_a_killed_worker_is_survived_and_the_numbers_are_those_of_one_process(undisturbed, tmp_path):
    runs = planned(tmp_path)
    killed = []
    watcher = Thread(target=lambda: killed.append(worker_at_work(tmp_path / "out", runs)) or kill(killed[0]))
    watcher.start()
    found, said = swept(tmp_path, engine("local", 1))
    watcher.join()
    assert results(found) == undisturbed
    assert not any("lost" in line for line in said)
    assert str(killed[0]) not in {entry.place.rpartition("-")[2] for entry in found.entries.values()}


def test_on_a_cluster_given_by_its_address_failures_are_recorded_as_elsewhere(tmp_path):
    from distributed import LocalCluster

    folders = [tmp_path / "cluster", tmp_path / "here"]
    for folder in folders:
        folder.mkdir()
    options = {"processes": False, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=1, **options) as cluster:
        theirs, _ = swept(folders[0], engine(cluster.scheduler_address, None), FAILING)
    ours, _ = swept(folders[1], here, FAILING)
    assert results(theirs) == results(ours)
    assert [str(run) for run in theirs.failed] == ["psgd lr=1e+30"]
    error = [found.entries[found.failed[0].identity].error for found in (ours, theirs)]
    assert error[0] == error[1]


def test_a_cluster_that_is_not_there_and_workers_that_are_its_own_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="--workers is the cluster's own affair"):
        engine("tcp://127.0.0.1:1", 2)
    monkeypatch.setattr("psgd_ref.experiments.sweeps.engines.PATIENCE", 0.2)
    with pytest.raises(OSError, match="Timed out"):
        swept(tmp_path, engine("tcp://127.0.0.1:1", None), FAILING)
