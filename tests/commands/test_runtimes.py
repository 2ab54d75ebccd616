"""`psgd-ref runtimes` as a table, as JSON, as files, and in one line when something is wrong."""

import json

import pytest

from psgd_ref.data import load
from psgd_ref.interop.deployment.onnx_file import export_onnx
from psgd_ref.interop.runtimes.known import SETTINGS, Setting
from psgd_ref.models import convnet
from tests.command import run

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    digits = load("digits")
    path = tmp_path_factory.mktemp("runtimes") / "model.onnx"
    images = digits.normalise(digits.validation.images[:4])
    export_onnx(convnet(widths=(4, 4), seed=0), path, images, bits=4)
    return path


@pytest.fixture(autouse=True)
def _two_runtimes(monkeypatch):
    """One that is there and one that is not."""
    here = next(setting for setting in SETTINGS if setting.name == "onnxruntime")
    both = (here, Setting("other", "other", ("no-such-package",)))
    monkeypatch.setattr("psgd_ref.interop.runtimes.known.SETTINGS", both)


def test_tables_and_records(exported, tmp_path, capsys):
    words = ("runtimes", exported, "--images", "7", "--data", "digits", "--out", tmp_path / "out")
    status, said, errors = run(capsys, *words)
    assert status == 0
    assert f"model.onnx: {exported.stat().st_size:,} bytes, 7 images" in said
    assert "| other |  | not installed: no-such-package |  |  |  |" in said
    assert "table.md" in errors
    kept = json.loads((tmp_path / "out" / "runtimes.json").read_text())
    ran, absent = kept["files"][0]["results"]
    assert (kept["data"], ran["right"], ran["differ"]) == ("digits", True, 0)
    assert absent["reason"] == "not installed: no-such-package"
    assert "| onnxruntime | " in (tmp_path / "out" / "table.md").read_text()


def test_json_and_numbers_for_images(exported, capsys):
    status, said, _ = run(capsys, "runtimes", exported, "--images", "3", "--json")
    found = json.loads(said)
    assert (status, found["data"], found["files"][0]["images"]) == (0, None, 3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.onnx"], "there is no file missing.onnx"),
        (["."], "is a folder"),
        (["bad.onnx"], "bad.onnx is not an ONNX file"),
        ([], "the following arguments are required: FILE"),
        (["MODEL", "--data", "moons"], "takes images of shape (1, 8, 8); got (200, 2, 1, 1)"),
        (["MODEL", "--data", "nothing"], "data set must be one of"),
        (["MODEL", "--limit", "0"], "must be seconds > 0; got '0'"),
        (["MODEL", "--images", "0"], "must be a whole number >= 1; got '0'"),
    ],
)
def test_bad_input_is_one_line(exported, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 50)
    given = [exported if word == "MODEL" else word for word in words]
    status, said, errors = run(capsys, "runtimes", *given, "--out", "out")
    assert (status, said, len(errors.splitlines())) == (2, "", 1)
    assert message in errors
    assert not (tmp_path / "out").exists()
