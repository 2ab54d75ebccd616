"""Sweeps: each result once, whatever fails or is killed, and the same from every engine."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from threading import Thread

import pytest

from psgd_ref.cli import main
from psgd_ref.experiments.store.sweeps import Entry, RunStore
from psgd_ref.experiments.sweeps import run as sweep_run
from psgd_ref.experiments.sweeps.driver import Status, status
from psgd_ref.experiments.sweeps.engines import engine
from psgd_ref.experiments.sweeps.table import summary, table
from psgd_ref.interop.alone import alone
from tests.experiments.sweeps.sweeps import FAILING, here, kill, planned, results, swept, worker_at_work


def test_results_are_accuracies_and_metrics_without_times(undisturbed):
    assert list(undisturbed) == ["psgd seed=0", "psgd seed=1"]
    result = undisturbed["psgd seed=0"]
    assert [(row["grid"], row["reestimated"], row["precision"]) for row in result["accuracies"]] == [
        (grid, False, precision) for grid in ("min-max", "mse") for precision in ("full", "W3")
    ]
    assert result["metrics"]["epoch"] == 15
    assert "seconds" not in result["metrics"]
    assert all(row["accuracy"] > 0.6 for row in result["accuracies"])


def test_a_failing_run_is_recorded_with_its_error_and_the_rest_goes_on(tmp_path):
    found, said = swept(tmp_path, here, FAILING)
    good, bad = found.runs
    assert found.failed == [bad]
    assert found.entries[good.identity].result is not None
    entry = found.entries[bad.identity]
    assert "DivergenceError: training diverged" in entry.error
    assert "Traceback" in entry.trace
    assert any(line.startswith("failed: psgd lr=1e+30: DivergenceError") for line in said)
    assert "2 runs: 1 done, 1 failed, 0 left" in summary(found)
    # Not tried again, unless that is asked for.
    assert swept(tmp_path, here, FAILING)[0].entries == found.entries
    again = swept(tmp_path, here, FAILING, retry=True)[0]
    assert again.entries[good.identity] == found.entries[good.identity]
    assert "DivergenceError" in again.entries[bad.identity].error


def test_what_is_added_to_the_file_is_computed_and_nothing_else(tmp_path):
    first, _ = swept(tmp_path, here, 'data = "moons"\nepochs = 1\nseed = [0]\n')
    more, _ = swept(tmp_path, here, 'data = "moons"\nepochs = 1\nseed = [0, 1]\n')
    assert len(more.entries) == 2
    assert first.entries.items() <= more.entries.items()


def test_a_worker_with_other_code_stops_the_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_run, "code_version", lambda entry: "0.0.0+other")
    with pytest.raises(ValueError, match=r"this worker has psgd_ref 0.0.0\+other"):
        swept(tmp_path, here, FAILING)
    assert status(planned(tmp_path, FAILING), tmp_path / "out").entries == {}


def test_a_second_sweep_in_the_folder_is_refused_while_status_is_given(tmp_path):
    with alone(tmp_path / "out", ""):
        with pytest.raises(ValueError, match="another sweep is running"):
            swept(tmp_path, here, FAILING)
        assert len(status(planned(tmp_path, FAILING), tmp_path / "out").left) == 2


def test_under_processes_a_killed_worker_is_reported_and_its_run_goes_on(undisturbed, tmp_path):
    runs = planned(tmp_path)
    killed = []
    watcher = Thread(target=lambda: killed.append(worker_at_work(tmp_path / "out", runs)) or kill(killed[0]))
    watcher.start()
    found, said = swept(tmp_path, engine(None, 1))
    watcher.join()
    assert any("2 runs were lost: a worker process was killed" in line for line in said)
    assert results(found) == undisturbed
    assert str(killed[0]) not in {entry.place.rpartition("-")[2] for entry in found.entries.values()}


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_killed_and_started_again_a_sweep_repeats_and_loses_nothing(undisturbed, tmp_path):
    runs = planned(tmp_path)
    words = [sys.executable, "-m", "psgd_ref", "sweep", tmp_path / "sweep.toml", "--out", tmp_path / "out"]
    process = subprocess.Popen([*map(str, words), "--workers", "1"], stderr=subprocess.PIPE, text=True)
    worker = worker_at_work(tmp_path / "out", runs[1:])
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    ended(worker)
    before = status(runs, tmp_path / "out")
    assert [str(run) for run in before.left] == ["psgd seed=1"]
    assert 2 <= before.begun[runs[1].identity] < 15
    assert "1 of these begun" in summary(before)
    found, _ = swept(tmp_path, here)
    assert results(found) == undisturbed
    # The first was not computed again, the second went on where it stood.
    assert found.entries[runs[0].identity] == before.entries[runs[0].identity]
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 2


def ended(process, patience=30):
    """Wait until a process has ended: workers do not outlive the sweep that started them."""
    for _ in range(100 * patience):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"worker {process} still runs")


def test_command_prints_a_table_rows_and_status(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("psgd_ref.experiments.sweeps.engines.processes", lambda count: here())
    planned(tmp_path, FAILING)
    words = ["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "out")]
    assert main([*words, "--status"]) == 0
    assert capsys.readouterr().err == "2 runs: 0 done, 0 failed, 2 left\n"
    assert not (tmp_path / "out").exists()
    assert main(words) == 1
    out, error = capsys.readouterr()
    assert "| psgd | 0.1 | min-max | as trained |" in out
    assert "2 of 2 runs, 1 failed, 00:00 left" in error
    assert main([*words, "--status", "--json"]) == 0
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["state"], good["options"], bad["state"]) == ("done", {"lr": 0.1}, "failed")
    assert {row["precision"] for row in good["accuracies"]} == {"full", "W3"}


def test_bad_input_ends_with_status_2_and_one_line(tmp_path, capsys):
    planned(tmp_path, FAILING)
    path = str(tmp_path / "sweep.toml")
    assert main(["sweep", str(tmp_path / "none.toml")]) == 2
    error = capsys.readouterr().err
    assert "none.toml" in error
    assert len(error.splitlines()) == 1
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.sqlite").write_text("no database at all")
    assert main(["sweep", path, "--out", str(tmp_path / "out")]) == 2
    assert "results.sqlite cannot be used" in capsys.readouterr().err


def test_the_table_gives_mean_and_deviation_over_seeds(tmp_path):
    runs = planned(tmp_path)
    rows = [{"grid": "mse", "reestimated": True, "precision": "W3", "accuracy": a} for a in (0.5, 0.7)]
    entries = {
        run.identity: Entry(run.identity, "{}", "code", {"accuracies": [row]})
        for run, row in zip(runs, rows, strict=True)
    }
    assert (
        table(Status(runs, entries, {})).splitlines()[-1] == "| psgd | mse | re-estimated | 60.0 ± 14.1 | 2 |"
    )


def folder_in_its_place(path):
    path.unlink()
    path.mkdir()


def changed(statement, *values):
    def change(path):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement, values)

    return change


def damaged_page(path):
    content = bytearray(path.read_bytes())
    content[4096:4120] = bytes(range(24))
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (folder_in_its_place, "unable to open"),
        (lambda path: path.write_bytes(b"no database at all" * 100), "not a database"),
        (changed("ALTER TABLE runs RENAME COLUMN trace TO stack"), "no such column: trace"),
        (changed("ALTER TABLE runs DROP COLUMN sha256"), "no such column: sha256"),
        (damaged_page, "cannot be used"),
        (changed("UPDATE runs SET result = CAST(? AS TEXT)", b"\xff"), "UTF-8"),
        (changed("UPDATE runs SET result = 'no JSON'"), "run a does not have its checksum"),
        (changed("UPDATE runs SET result = '{\"accuracies\": [0.9]}'"), "run a does not have its checksum"),
    ],
)
def test_a_damaged_store_is_refused_in_one_line_and_left_as_it_is(damage, message, tmp_path, capsys):
    planned(tmp_path, FAILING)
    path = tmp_path / "out" / "results.sqlite"
    with closing(RunStore(tmp_path / "out")) as store:
        store.record(Entry("a", "{}", "code", {"accuracies": [0.1]}, trace="x\ny", seconds=2, place="here"))
    damage(path)
    before = path.is_dir() or path.read_bytes()
    words = ["sweep", str(tmp_path / "sweep.toml"), "--out", str(tmp_path / "out")]
    for more in ([], ["--status"], ["--retry"]):
        assert main([*words, *more]) == 2
        out, error = capsys.readouterr()
        assert (out, len(error.splitlines())) == ("", 1)
        assert error.startswith(f"psgd-ref sweep: {path} ")
        assert message in error
    assert (path.is_dir() or path.read_bytes()) == before


def test_the_store_keeps_one_row_a_run(tmp_path):
    store = RunStore(tmp_path)
    store.record(Entry("a", "{}", "code", {"accuracies": []}, seconds=1.5, place="here-1"))
    with pytest.raises(sqlite3.IntegrityError):
        store.record(Entry("a", "{}", "code", error="again"))
    with pytest.raises(sqlite3.IntegrityError):
        store.record(Entry("b", "{}", "code"))
    assert store.entries(["a", "b"]) == {
        "a": Entry("a", "{}", "code", {"accuracies": []}, seconds=1.5, place="here-1")
    }
    store.close()
