"""`psgd-ref check`: its lines, JSON and exit statuses."""

import json

import pytest

from tests.command import run


def test_a_module_in_this_directory(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in __import__("sys").path if path])
    (tmp_path / "my_own_rule.py").write_text("def s(w, targets):\n    return abs(w - targets.nearest(w))\n")
    status, out, _ = run(capsys, "check", "my_own_rule:s", "--claims", "A3", "D5", "--examples", "5")
    assert status == 0
    assert out.splitlines()[-1].startswith("s: 2 of 2 claims checked")


def test_a_failure_exits_1_and_its_line_names_the_address(capsys):
    words = ["tests.laws.methods:constant", "--claims", "A3", "--examples", "10", "--seed", "3"]
    status, out, _ = run(capsys, "check", *words)
    assert status == 1
    assert 'replay("tests.laws.methods:constant", "A3.ordered"' in out
    assert out.splitlines()[-1].endswith("1 FAILED, seed 3")
    status, out, _ = run(capsys, "check", *words, "--json")
    report = json.loads(out)
    assert (status, report["ok"], report["checked"], report["apply"]) == (1, False, 1, 1)
    assert report["outcomes"][0]["status"] == "FAILED"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mine"], "a subject is given as module:Name; got 'mine'"),
        (["no_such_module:x"], "cannot import no_such_module: ModuleNotFoundError"),
        (["tests.laws.methods:nothing"], "tests.laws.methods has no nothing; it has np"),
        (["tests.laws.methods:np"], "neither callable"),
        (["tests.laws.methods:single"], "returned float32"),
        (["tests.laws.methods:bare", "--claims", "Z9"], "no claim Z9"),
        (["tests.laws.methods:bare", "--claims", "C1"], "claim C1 is not about bare"),
        (
            ["tests.laws.methods:declines", "--claims", "D5", "--examples", "3"],
            "0 of 1 claims could be checked",
        ),
    ],
)
def test_a_bad_subject_exits_2_with_one_line(words, message, capsys):
    status, _, error = run(capsys, "check", *words)
    assert status == 2
    assert error.startswith("psgd-ref check: ")
    assert message in error
    assert len(error.splitlines()) == 1
