"""`psgd-ref export` from a run's folder to a file, and in one line when something is wrong."""

import json

import pytest

from psgd_ref.compress import quantize
from psgd_ref.interop import load_quantized
from psgd_ref.training.runs.configuration import Configuration
from psgd_ref.training.runs.run import train
from psgd_ref.training.runs.saved import open_model
from tests.command import run

OPTIONS = ("--bits", "3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    train(Configuration(data="moons", epochs=1, batch_size=600), path, show_progress=False)
    return path


def test_an_onnx_file_is_written_and_checked(folder, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    out = tmp_path / "model.onnx"
    status, said, _ = run(capsys, "export", folder, "--out", out, *OPTIONS)
    assert status == 0
    assert said.startswith(f"{out}: {out.stat().st_size:,} bytes, within ")
    status, said, _ = run(capsys, "export", folder, "--out", out, *OPTIONS, "--json")
    found = json.loads(said)
    assert (status, found["path"], found["bytes"]) == (0, str(out), out.stat().st_size)
    assert 0 <= found["error"] < 1e-5


def test_a_c_header_is_written(folder, tmp_path, capsys):
    out = tmp_path / "network.h"
    status, said, _ = run(capsys, "export", folder, "--out", out, *OPTIONS)
    assert status == 0
    assert said == f"{out}: {out.stat().st_size:,} bytes\n"
    assert "static void psgd_run(" in out.read_text()


def test_safetensors_hold_more_bits_than_a_container_of_onnx(folder, tmp_path, capsys):
    out = tmp_path / "model.safetensors"
    status, _, _ = run(capsys, "export", folder, "--out", out, "--bits", "12")
    assert (status, set(load_quantized(out).weight_bits.values())) == (0, {12})


def test_packed_integers_are_written(folder, tmp_path, capsys):
    out = tmp_path / "model.safetensors"
    status, said, _ = run(capsys, "export", folder, "--out", out, *OPTIONS)
    assert (status, said) == (0, f"{out}: {out.stat().st_size:,} bytes\n")
    model, _ = open_model(folder)
    assert load_quantized(out).w.tobytes() == quantize(model, 3).w.tobytes()
    status, said, _ = run(capsys, "evaluate", out, "--data", "moons", "--bits", "8")
    assert (status, said.count("%")) == (0, 2)
    status, _, _ = run(capsys, "export", out, "--data", "moons", "--out", tmp_path / "network.h")
    assert status == 0
    status, _, errors = run(capsys, "evaluate", out)
    assert (status, errors.splitlines()) == (
        2,
        [f"psgd-ref evaluate: {out} does not say its data; give it with --data"],
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "x.tflite"], "one of .onnx, .h, .safetensors; got '.tflite'"),
        (["--out", "x.h", "--bits", "1"], "in 2..8; got 1"),
        (["--out", "x.h", "--bits", "12"], "in 2..8; got 12"),
        (["--out", "x.safetensors", "--bits", "33"], "in 2..16; got 33"),
        (["--out", "x.h", "--container", "int4"], "container int4 is for ONNX files; got x.h"),
        (["--out", "x.h", "--grid", "round"], "grid"),
        (["--out", "x.onnx", "--container", "int3"], "int8, int4, int2"),
        (
            ["--out", "x.onnx", "--container", "int4", "--bits", "8"],
            "at most 4 bits; got 8 bits",
        ),
        (["--out", "x.onnx", "--bits", "12"], "in 2..8; got 12"),
        (["--out", "x.h", "--bits", "4", "--grid", "adaptivfloat"], "table of levels"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(folder, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    status, said, errors = run(capsys, "export", folder, *words)
    assert (status, said, len(errors.splitlines())) == (2, "", 1)
    assert message in errors
    assert list(tmp_path.iterdir()) == []
