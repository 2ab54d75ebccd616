"""The laws under pytest: ids, strict expected failures, and the option."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from psgd_ref.laws import LawBrokenError, parametrize_with_laws
from tests.laws import methods

ROOT = Path(__file__).parents[2]


@parametrize_with_laws(
    [methods.bare, methods.Codes, methods.constant],
    claims=None,
    expected_failures={"constant": {}},
    examples=20,
)
def _unused(law):
    """Only its mark is looked at."""


def test_ids_and_marks():
    (mark,) = _unused.pytestmark
    ids = [case.id for case in mark.args[1]]
    assert {"bare-A2", "bare-D1", "Codes-H1", "constant-B2"} <= set(ids)
    assert len(ids) == len(set(ids))


@parametrize_with_laws(
    [methods.bare, methods.constant],
    claims=["A3", "D5"],
    expected_failures={"constant": {"A3": "on purpose", "D5": "on purpose"}},
    examples=10,
)
def test_laws(law):
    law()


def test_a_failure_says_what_and_where():
    (mark,) = _unused.pytestmark
    law = next(case.values[0] for case in mark.args[1] if case.id == "constant-B2")
    with pytest.raises(
        LawBrokenError, match=r"(?s)B2 Exact remainder: .*at w = .*your step gives .*run: from"
    ):
        law()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "at least one subject"),
        (([methods.bare], ["A2"], {"bare": {"A3": ""}}), "no test of bare for the expected failures A3"),
        (([methods.bare], ["A2"], {"bear": {"A2": ""}}), "of bear, which is not among the subjects"),
        (([methods.bare], ["C1"]), "not about bare"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        parametrize_with_laws(*arguments)


TESTS = """
from psgd_ref.laws import parametrize_with_laws
import mine

@parametrize_with_laws([mine.rule], ["A3"], {"rule": {"A3": "it holds after all"}}, examples=3)
def test_laws(law):
    law()
"""


def run(folder, *arguments):
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "psgd_ref.pytest_option",
        "-p",
        "no:cacheprovider",
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") == "1", reason="plugins are off")
def test_from_an_empty_directory(tmp_path):
    (tmp_path / "mine.py").write_text("def rule(w, targets):\n    return abs(w - targets.nearest(w))\n")
    status, said = run(
        tmp_path, "--pyargs", "psgd_ref.laws", "-vrs", "-k", "A2 or A4", "--psgd-subject", "mine:rule"
    )
    assert status == 0, said
    assert "test_law[rule-A2] PASSED" in said
    assert "'max-normalised' is not taken" in said
    status, said = run(tmp_path, "--pyargs", "psgd_ref.laws")
    assert status == 2
    assert "no subject: give --psgd-subject module:Name" in said
    (tmp_path / "test_mine.py").write_text(TESTS)
    status, said = run(tmp_path)  # an ordinary run: the laws are not collected, the unexpected pass fails
    assert status == 1
    assert "XPASS(strict)] it holds after all" in said
    assert "1 failed" in said
