"""The command line: what it prints, and how it refuses."""

import subprocess
import sys

import pytest

from psgd_ref import __version__
from psgd_ref.cli import main


def refused(arguments, capsys):
    try:
        status = main(arguments)
    except SystemExit as error:
        status = error.code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    return status, captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo", "--seeds", "0"], "must be a whole number >= 1; got '0'"),
        (["demo", "--seeds", "many"], "got 'many'"),
        (["demo", "--seed", "-1"], "must be a whole number >= 0"),
        (["fly"], "invalid choice"),
        ([], "COMMAND"),
    ],
)
def test_bad_input_ends_with_status_2(arguments, message, capsys):
    status, error = refused(arguments, capsys)
    assert status == 2
    assert message in error


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path, capsys):
    blocker = tmp_path / "file"
    blocker.write_text("")
    status, error = refused(["demo", "--out", str(blocker / "sub")], capsys)
    assert status == 2
    assert len(error.splitlines()) == 1
    assert str(blocker) in error


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "psgd_ref", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"psgd_ref {__version__}\n"
