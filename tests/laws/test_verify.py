"""The command: lines, JSON, exit statuses."""

import json

import pytest

from psgd_ref.cli import main
from psgd_ref.laws import Subject
from tests.meta.wrong import five_times


def test_lines_and_summary(capsys):
    assert main(["verify", "--claim", "C1", "--claim", "A3", "--examples", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("A3  s is least at targets")
    assert lines[0].endswith("holds")
    assert lines[1].startswith("C1")
    assert lines[1].endswith("refuted as stated")
    assert any("det DF(w) = 1" in line for line in lines)
    assert lines[-1].startswith("psgd_ref: 2 of 2 claims checked")
    assert lines[-1].endswith("1 hold, 1 refuted as stated, seed 0")


def test_json(capsys):
    assert main(["verify", "--claim", "B2", "--claim", "C5", "--examples", "10", "--json"]) == 0
    objects = json.loads(capsys.readouterr().out)
    assert [entry["id"] for entry in objects] == ["B2", "C5"]
    for entry in objects:
        assert entry.keys() >= {"id", "statement", "source", "truth", "cases", "worst", "status"}
        assert entry["status"] == "holds"
        assert 0 <= entry["worst"] <= 1


def test_random_seed_is_printed(capsys):
    assert main(["verify", "--claim", "C5", "--examples", "5", "--seed", "random"]) == 0
    seed = capsys.readouterr().out.split()[-1]
    assert main(["verify", "--claim", "C5", "--examples", "5", "--seed", seed]) == 0


def test_failure_exits_1(monkeypatch, capsys):
    monkeypatch.setattr("psgd_ref.laws.verify.reference", lambda: Subject(psgd_step=five_times))
    assert main(["verify", "--claim", "D7", "--examples", "20"]) == 1
    out = capsys.readouterr().out
    assert "FAILED" in out
    assert "no step passes a critical point" in out


def test_nothing_checked_exits_1(monkeypatch, capsys):
    monkeypatch.setattr("psgd_ref.laws.verify.reference", Subject)
    assert main(["verify", "--claim", "H2"]) == 1
    out = capsys.readouterr().out
    assert "not here yet (laplace_clip, nested_rounding" in out
    assert "0 of 1 claims checked" in out


def test_unknown_claim_exits_2_with_one_line(capsys):
    assert main(["verify", "--claim", "Z9"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("psgd-ref verify: no claim Z9; the ledger has A1, A2")
    assert len(captured.err.splitlines()) == 1


@pytest.mark.parametrize("option", [["--examples", "0"], ["--seed", "-1"], ["--seed", "x"]])
def test_bad_options_exit_2(option, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["verify", *option])
    assert stop.value.code == 2
    assert option[1] in capsys.readouterr().err
