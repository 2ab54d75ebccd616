"""The benchmark's arithmetic and its two processes; that it is fast is not tested here."""

import json

import numpy as np
import pytest

from psgd_ref import kernels
from psgd_ref.cli import main
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


class Scripted:
    """A side that answers with given seconds."""

    def __init__(self, amount, seconds):
        self.amount, self.seconds, self.built = amount, list(seconds), []

    def ask(self, build=None, time=False):
        if build is not None:
            self.built.append(build)
            return {"amount": self.amount}
        return {"seconds": self.seconds.pop(0)}


def test_a_ratio_is_taken_turn_by_turn():
    # Both sides are ten times slower in the second turn; the ratio does not see it.
    ours, torch = Scripted(6e9, [1, 10, 1]), Scripted(0, [2, 20, 4])
    case = Case("x", "train", {"batch": 2}, {"channels_last": True}, 0.75)
    row = bench._time(case, ours, torch, 3, {"sgemm": 12e9})
    assert row.ratio == 0.5
    assert row.quartiles == (0.25, 0.5)
    assert (row.seconds, row.other_seconds, row.rate, row.share) == (1, 4, 6e9, 0.5)
    assert ours.built == [{"work": "train", "batch": 2}]
    assert torch.built == [{"work": "train", "batch": 2, "channels_last": True}]


def test_our_side_alone():
    row = bench._time(Case("x", "train"), Scripted(1e9, [1, 1]), None, 2, {"sgemm": 1e9})
    assert (row.ratio, row.quartiles, row.other_seconds) == (None, None, None)
    assert "| x | 1000 |  |  |  | 1 GFLOP/s | 100% |" in bench.Result([row], {"sgemm": 1e9}).table()


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
    ours = bench_ours._model(case.request("ours"))
    theirs = torch_side._model(case.request("pytorch"))
    assert ours.w.size == sum(p.numel() for p in theirs.parameters())


def test_names_select_cases():
    assert [case.name for case in bench.select(["resnet-32 EVAL"])] == ["ResNet-32 evaluate"]
    assert bench.select([]) == CASES
    assert len({case.name for case in CASES}) == len(CASES)
    with pytest.raises(ValueError, match="ResNet-32 evaluate"):
        bench.select(["nothing"])


def test_command_prints_json(monkeypatch, capsys):
    monkeypatch.setattr(bench, "has_torch", lambda: False)
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
    with pytest.raises(RuntimeError, match="ours side"):
        side.ask(time=True)
    side.__exit__()


def test_a_call_longer_than_a_turn_is_a_turn_by_itself(monkeypatch):
    calls = []
    monkeypatch.setattr(bench_worker, "TURN", 0.0)
    assert bench_worker.turn(lambda: calls.append(1)) > 0
    assert len(calls) == 1
    monkeypatch.setattr(bench_worker, "TURN", 0.01)
    assert bench_worker.turn(lambda: calls.append(1)) < 0.01
    assert len(calls) > 2


def test_optimiser_case_steps():
    step, amount = bench_ours.build({"work": "optimizer", "weights": 1000, "tensors": 4})
    assert step() is None
    assert amount == 20_000
    assert np.isfinite(amount)


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
