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
        (["mine"], "a subject is given as module:Name, as it is imported"),
        (["./mine.py:step"], "my_module:my_step); got './mine.py:step'"),
        (["no_such_module:x"], "cannot import no_such_module: ModuleNotFoundError"),
        (["tests.laws.methods:nothing"], "tests.laws.methods has no nothing; it has np"),
        (["tests.laws.methods:np"], "must be callable"),
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


def test_a_quantizer_is_described_beside_the_claims(capsys):
    words = ["tests.laws.description.quantizers:half_even", "--claims", "H1", "--examples", "10"]
    status, out, _ = run(capsys, "check", *words)
    assert status == 0
    assert "half_even, as q(w, bits): 4 bits, float64" in out
    assert "max|w|/(2^(b-1)-1)" in out
    status, out, _ = run(capsys, "check", *words, "--bits", "3", "--json")
    description = json.loads(out)["description"]
    assert (status, description["bits"], description["levels"]["count"]) == (0, 3, 7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["tests.laws.description.quantizers:half_even", "--bits", "9"],
            "bits must be a whole number in 1..8",
        ),
        (["tests.laws.methods:bare", "--bits", "4"], "--bits is for a quantizer, which bare is not"),
        (["tests.laws.description.quantizers:bare_codes"], "integer codes need their scale"),
    ],
)
def test_bits_and_forms_that_are_refused(words, message, capsys):
    status, _, error = run(capsys, "check", *words)
    assert status == 2
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_quantizer_that_cannot_be_described_is_still_checked(capsys):
    address = "tests.laws.description.quantizers:in_place"
    status, out, _ = run(capsys, "check", address, "--claims", "H1", "--examples", "5")
    assert status == 1
    assert "not described: in_place cannot be described at 4 bits" in out
