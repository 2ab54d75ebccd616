"""A person's own images through train, evaluate and export, as they are typed."""

import json

import numpy as np
import pytest

from psgd_ref.interop import load_quantized
from tests.command import run
from tests.data.test_own import images

RNG = np.random.default_rng(0)
TRAIN = ("--epochs", "1", "--batch-size", "16", "--model", "convnet-4-4")


def halves(count=60):
    """Images that are darker above in the second class."""
    pixels = RNG.integers(0, 256, (count, 8, 6), dtype=np.uint8)
    pixels[1::2, :4] //= 4
    return pixels


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with images, and a run that was started beside it with a relative path."""
    base = tmp_path_factory.mktemp("own")
    images(base / "pets", halves())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(base)
        from psgd_ref.cli import main

        assert main(["train", "--data", "pets", "--out", "run", *TRAIN]) == 0
    return base


def test_a_run_remembers_where_its_data_came_from(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, said, _ = run(capsys, "evaluate", trained / "run", "--bits", "4", "--json")
    assert status == 0
    assert set(json.loads(said)) == {"full", "W4"}
    assert json.dumps(str(trained / "pets")) in (trained / "run" / "config.toml").read_text()
    status, _, _ = run(capsys, "export", trained / "run", "--bits", "4", "--out", "model.safetensors")
    assert status == 0
    assert load_quantized("model.safetensors").weight_bits["fc.weight"] == 4


def test_training_says_what_it_found_and_goes_on(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    status, _, errors = run(capsys, "train", "--data", "pets", "--out", "run", *TRAIN, "--resume")
    assert status == 0
    assert "Dataset('pets': 2 classes, 8×6×1 images, 49 train, 5 validation, 6 test) from " in errors
    status, said, _ = run(capsys, "data", "check", "pets")
    found = "pets: 49 train, 5 validation, 6 test images of 2 classes, readable"
    assert (status, said.splitlines()[0]) == (0, found)


def test_data_that_moved_are_asked_for_and_taken(trained, tmp_path, capsys):
    archive = tmp_path / "own.npz"
    np.savez(archive, images=halves(), labels=np.arange(60) % 2)
    status, _, _ = run(capsys, "train", "--data", archive, "--out", tmp_path / "run", *TRAIN)
    assert status == 0
    moved = archive.rename(tmp_path / "moved.npz")
    status, said, errors = run(capsys, "evaluate", tmp_path / "run", "--bits", "4")
    assert (status, said, len(errors.splitlines())) == (2, "", 1)
    assert f"there is no folder or file {archive}; if the data have moved, --data says where" in errors
    status, said, _ = run(capsys, "evaluate", tmp_path / "run", "--bits", "4", "--data", moved)
    assert status == 0
    assert said.startswith("         test accuracy\nfull ")


@pytest.mark.parametrize("word", ["digit", "no/such/folder", ""])
def test_what_is_no_data_set_is_one_line_and_leaves_no_folder(tmp_path, capsys, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    status, said, errors = run(capsys, "train", "--data", word, "--out", "run")
    assert (status, said, len(errors.splitlines())) == (2, "", 1)
    assert "a folder of images by class or an .npz file" in errors
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_read_is_one_line(tmp_path, capsys):
    images(tmp_path / "pets", halves(6), ("cat",))
    status, said, errors = run(capsys, "train", "--data", tmp_path / "pets", "--out", tmp_path / "run")
    assert (status, said, len(errors.splitlines())) == (2, "", 1)
    assert "two classes or more" in errors
