"""Where the time of a step goes: every layer and pass is there, and the command's files."""

import json

import pytest

from psgd_ref.cli import main
from psgd_ref.experiments.benchmark import breakdown
from psgd_ref.experiments.benchmark.cases import RESNET
from psgd_ref.nn.layers import batch_norm

SMALL = {**RESNET, "depth": 8, "batch": 2}


@pytest.fixture(scope="module")
def found():
    return breakdown.measure(SMALL, steps=3)


def test_every_layer_is_there_in_both_passes(found):
    blocks = [f"layer{stage}.0.{kind}{n}" for stage in (1, 2, 3) for kind in ("conv", "bn") for n in (1, 2)]
    shortcuts = [f"layer{stage}.0.downsample.{n}" for stage in (2, 3) for n in (0, 1)]
    layers = {"conv1", "bn1", *blocks, *shortcuts}
    for direction in ("forward", "backward"):
        kinds = ("convolution", "batch norm")
        here = [part.layer for part in found.parts if part.direction == direction and part.kind in kinds]
        assert sorted(here) == sorted(layers)
    assert all(part.seconds > 0 for part in found.parts)
    # Medians of the parts are not parts of the median.
    assert sum(part.seconds for part in found.parts) < 2 * found.seconds


def test_operations_and_bytes_are_those_of_the_formula(found):
    by_name = {(part.layer, part.direction): part for part in found.parts if part.kind != "recomputation"}
    stem, norm = by_name["conv1", "forward"], by_name["bn1", "forward"]
    assert stem.operations == 2 * (2 * 32 * 32 * 16) * (3 * 3 * 3)
    assert stem.bytes == 4 * 2 * 32 * 32 * (3 + 16)
    assert (norm.operations, norm.bytes) == (0, 4 * 2 * 32 * 32 * (16 + 16))
    assert by_name["conv1", "backward"].operations == 2 * stem.operations


def test_outputs_that_are_not_kept_are_a_part_of_their_own(monkeypatch):
    monkeypatch.setattr(batch_norm, "_LARGE", 1)
    parts = breakdown.measure(SMALL, steps=1).parts
    again = {part.layer for part in parts if part.kind == "recomputation"}
    # The last norm needs the output of its stage; the shortcuts need those of the stages before.
    assert {"layer3.0.bn2", "layer3.0.downsample.0", "layer2.0.downsample.0"} <= again
    assert {part.direction for part in parts if part.kind == "recomputation"} == {"backward"}


def test_command_measures_draws_and_prints(found, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(breakdown, "measure", lambda: found)
    assert main(["bench", "--where", str(tmp_path / "new"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "new" / "step.json").read_text()) == printed
    assert breakdown.Breakdown.from_json(printed) == found
    assert (tmp_path / "new" / "step.png").stat().st_size > 1_000
    assert main(["bench", "--where", str(tmp_path)]) == 0
    assert "| convolution, backward |" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--list"], ["--only", "train"]])
def test_cases_of_one_network_are_refused(words, tmp_path, capsys):
    assert main(["bench", "--where", str(tmp_path / "new"), *words]) == 2
    assert "no cases to list or to choose from" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
