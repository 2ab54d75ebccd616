"""The benchmark's arithmetic and its two processes; that it is fast is not tested here."""

import contextlib
import json
import shutil
import zipfile

import pytest

from psgd_ref import kernels
from psgd_ref.cli import main
from psgd_ref.experiments.benchmark import against
from psgd_ref.experiments.benchmark import build as bench_build
from psgd_ref.experiments.benchmark import (
    ours as bench_ours,
)
from psgd_ref.experiments.benchmark import (
    speed as bench,
)
from psgd_ref.experiments.benchmark import (
    worker as bench_worker,
)
from psgd_ref.experiments.benchmark.cases import CASES, Case
from psgd_ref.experiments.benchmark.rows import Measured, Result


class Scripted:
    """A side that answers with given seconds."""

    def __init__(self, amount, seconds):
        self.amount, self.seconds, self.built = amount, list(seconds), []

    def ask(self, build=None, time=False, memory=False):
        if build is not None:
            self.built.append(build)
            return {"amount": self.amount}
        if memory:
            return {"bytes": 3 * 2**20}
        return {"seconds": self.seconds.pop(0)}


def test_a_ratio_is_taken_turn_by_turn():
    # Both sides are ten times slower in the second turn; the ratio does not see it.
    ours, torch = Scripted(6e9, [1, 10, 1]), Scripted(0, [2, 20, 4])
    case = Case("x", "train", {"batch": 2}, {"channels_last": True}, 0.75)
    row = bench._time(case, ours, {bench.Rival("PyTorch", "pytorch"): torch}, 3, {"sgemm": 12e9})
    assert row.others == {"PyTorch": Measured(4, 0.5, (0.25, 0.5), 3 * 2**20)}
    assert (row.seconds, row.rate, row.share) == (1, 6e9, 0.5)
    assert ours.built == [{"work": "train", "batch": 2}]
    assert torch.built == [{"work": "train", "batch": 2, "channels_last": True}]


def test_our_side_alone():
    row = bench._time(Case("x", "train"), Scripted(1e9, [1, 1]), {}, 2, {"sgemm": 1e9})
    assert row.others == {}
    assert "| x | 1000 |  | 1 GFLOP/s | 100% |" in Result([row], {"sgemm": 1e9}).table()


def test_every_side_has_a_column_and_those_that_do_not_play_are_blank():
    sides = {bench.Rival(name, "pytorch"): Scripted(0, [seconds]) for name, seconds in (("a", 2), ("b", 4))}
    rows = [
        bench._time(Case("x", "train"), Scripted(1e9, [1]), sides, 1, {"sgemm": 1e9}),
        bench._time(Case("y", "train"), Scripted(1e9, [1]), {}, 1, {"sgemm": 1e9}),
    ]
    head, _, first, second, *_ = Result(rows, {"sgemm": 1e9}).table().splitlines()
    assert head.startswith("| case | ms | to a (quartiles) | to b (quartiles) | target |")
    assert first.startswith("| x | 1000 | 0.50 (0.50–0.50) | 0.25 (0.25–0.25) |")
    assert second.startswith("| y | 1000 |  |  |")
    assert "| x | 3 | 3 | 3 |" in Result(rows, {"sgemm": 1e9}).table()


def test_a_side_that_cannot_do_a_case_is_left_out_of_it(capsys):
    class Broken(Scripted):
        def ask(self, build=None, time=False, memory=False):
            raise ChildProcessError("ended with 1")

    sides = {bench.Rival("JAX", "jax_net"): Broken(0, [])}
    row = bench._time(Case("x", "train"), Scripted(1e9, [1]), sides, 1, {"sgemm": 1e9})
    assert row.others == {}
    assert "x: JAX cannot do this here" in capsys.readouterr().err


def test_which_sides_play():
    plain, headline = Case("x", "layer"), Case("x", "train", headline=True)
    ours, update = Case("x", "train", opponent="ours"), Case("x", "optimizer", headline=True)
    cold = Case("x", "cold", opponent="build", headline=True)
    sides = [
        bench.Rival("a wheel", "build"),
        bench.Rival("PyTorch", "pytorch"),
        bench.Rival("torch.compile", "pytorch", {"compiled": True}),
        bench.Rival("JAX", "jax_net"),
        bench.Rival("ours", "ours"),
    ]
    for case, names in (
        (plain, ["PyTorch"]),
        (headline, ["a wheel", "PyTorch", "torch.compile", "JAX"]),
        (update, ["a wheel", "PyTorch"]),
        (ours, ["ours"]),
        (cold, ["a wheel"]),
    ):
        assert [side.name for side in sides if side.plays(case)] == names


def test_another_build_runs_with_this_versions_timing(tmp_path):
    # A checkout whose networks are ours, and whose timing would fail.
    package = against.HERE.parents[1]
    build, folder = tmp_path / "build", tmp_path / "folder"
    shutil.copytree(package, build / "psgd_ref", ignore=shutil.ignore_patterns("__pycache__"))
    (build / "psgd_ref" / "experiments" / "benchmark" / "worker.py").write_text("raise ImportError\n")
    folder.mkdir()
    environ = against.prepare(build, folder)
    mlp = {"work": "train", "model": "mlp", "widths": (3, 10), "batch": 2, "image": (3,)}
    sides = bench.Rival("other", "build", {}, environ | {"PSGD_REF_KERNELS": "reference"}, folder)
    with sides.start(1, False) as side:
        assert side.ask(build=mlp) == {"amount": 0.0}
        assert side.ask(time=True)["seconds"] > 0
    # It is the build's own code that runs.
    (folder / "psgd_ref" / "models" / "__init__.py").write_text(
        "from sys import exit as convnet\nresnet = mlp = convnet\n"
    )
    with sides.start(1, False) as side, pytest.raises(ChildProcessError, match="ended with 1"):
        side.ask(build=mlp)


def test_a_wheel_is_a_build(tmp_path):
    wheel, folder = tmp_path / "psgd_ref-0-py3-none-any.whl", tmp_path / "folder"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("psgd_ref/__init__.py", "")
    folder.mkdir()
    assert against.prepare(wheel, folder)["PYTHONPATH"] == str(folder)
    assert (folder / "psgd_ref" / "experiments" / "benchmark" / "build.py").exists()


@pytest.mark.parametrize("name", ["missing", "empty", "text.whl"])
def test_what_is_no_build_is_refused(name, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.whl").write_text("no archive")
    with pytest.raises(ValueError, match=f"a wheel or a checkout of psgd_ref; got .*{name}"):
        against.prepare(tmp_path / name, tmp_path / "folder")


def test_work_is_counted_at_the_interface():
    case = {"work": "train", "model": "mlp", "widths": (6, 5, 10), "batch": 4, "image": (6,)}
    before = kernels.linear
    _, flop = bench_ours.build(case)
    # Forward, weights and, for the second layer only, the gradient of the input: 2 FLOP a multiply-add.
    assert flop == 2 * 4 * (2 * 6 * 5 + 3 * 5 * 10)
    assert kernels.linear is before
    _, flop = bench_ours.build({"work": "layer", "channels": 2, "size": 4, "batch": 3, "passes": "backward"})
    assert flop == 2 * 2 * (3 * 16 * 2) * 9 * 2


@pytest.mark.parametrize("case", [case for case in CASES if case.work == "train"], ids=lambda case: case.name)
def test_both_sides_build_the_same_network(case):
    torch_side = pytest.importorskip("psgd_ref.experiments.benchmark.pytorch", exc_type=ImportError)
    ours = bench_build.network(case.request("ours"))
    theirs = torch_side._model(case.request("pytorch"))
    assert ours.w.size == sum(p.numel() for p in theirs.parameters())


def test_names_select_cases():
    assert [case.name for case in bench.select(["resnet-32 EVAL"])] == ["ResNet-32 evaluate"]
    assert bench.select([]) == CASES
    assert len({case.name for case in CASES}) == len(CASES)
    with pytest.raises(ValueError, match="ResNet-32 evaluate"):
        bench.select(["nothing"])


def test_command_prints_json(monkeypatch, capsys):
    monkeypatch.setattr(bench, "has", lambda package: False)
    monkeypatch.setattr(bench, "PEAKS", {"sgemm": {"work": "triad", "size": 10_000}})
    assert main(["bench", "--only", "MLP 784", "--turns", "1", "--threads", "1", "--json"]) == 0
    printed = capsys.readouterr()
    (row,) = json.loads(printed.out)["rows"]
    assert row["name"] == "MLP 784-256-128-10 train"
    assert row["seconds"] > 0
    assert "PyTorch is not installed" in printed.err


def test_a_side_that_ends_is_named():
    side = bench.Side("ours", 1)
    side.process.kill()
    with pytest.raises(ChildProcessError, match="ours side"):
        side.ask(time=True)
    side.__exit__()


def test_a_call_longer_than_a_turn_is_a_turn_by_itself(monkeypatch):
    calls = []
    monkeypatch.setattr(bench_worker, "TURN", 0.0)
    assert bench_worker.turn(lambda: calls.append(1)) > 0
    assert len(calls) == 2  # the first is not counted
    monkeypatch.setattr(bench_worker, "TURN", 0.01)
    assert bench_worker.turn(lambda: calls.append(1)) < 0.01
    assert len(calls) > 2


def test_a_cold_start_is_a_new_process_with_nothing_compiled_once_a_turn(tmp_path):
    log = tmp_path / "log"
    code = (
        "import os, sys; cache = os.environ['PSGD_REF_CACHE']; "
        f"print(sys.argv[1] == cache, os.listdir(cache), file=open({str(log)!r}, 'a'))"
    )
    with bench.Side("ours", 1) as side:
        case = {"work": "cold", "arguments": ["-c", code, "FOLDER"]}
        assert side.ask(build=case) == {"amount": 0.0}
        assert not log.exists()
        assert all(side.ask(time=True)["seconds"] > 0 for _ in range(2))
    assert log.read_text() == "True []\n" * 2


def test_cold_starts_are_timed_when_there_is_a_build_or_they_are_asked_for(monkeypatch, tmp_path):
    timed = []
    monkeypatch.setattr(bench, "PEAKS", {})
    monkeypatch.setattr(bench, "Side", lambda *options: contextlib.nullcontext())
    monkeypatch.setattr(bench.Rival, "start", lambda *options: contextlib.nullcontext())
    monkeypatch.setattr(bench, "prepare", lambda build, folder: {})
    monkeypatch.setattr(bench, "_time", lambda case, *rest: timed.append(case.work))
    for words, builds, cold in (((), (), 0), ((), [tmp_path], 2), (["cold start"], (), 2)):
        timed.clear()
        bench.run(words, builds=builds)
        assert timed.count("cold") == cold


def test_optimiser_case_steps():
    case = {"work": "optimizer", "model": "mlp", "widths": (10, 100), "psgd": {"refresh": "learned"}}
    step, amount = bench_ours.build(case)
    assert step()["step"] == 2
    assert amount == 20 * 1100


@pytest.mark.parametrize("option", ["--turns", "--threads"])
def test_bad_counts_are_refused(option, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", option, "0"])
    assert f"{option}: must be a whole number >= 1; got '0'" in capsys.readouterr().err


@pytest.mark.parametrize("keep", [False, True])
def test_memory_is_kept_in_the_sides_processes_when_asked(keep, monkeypatch):
    started = {}
    monkeypatch.setattr(bench.subprocess, "Popen", lambda command, **options: started.update(options))
    bench.Side("ours", 2, keep)
    assert all((started["env"].get(name) == value) is keep for name, value in bench.KEEP.items())
    assert started["env"]["NUMBA_NUM_THREADS"] == "2"
