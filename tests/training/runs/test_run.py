"""Runs in a folder: whatever breaks them, resuming gives the weights of an undisturbed run."""

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from psgd_ref.compress import GRIDS, QUANTIZERS
from psgd_ref.data import load
from psgd_ref.figures.course.training import draw
from psgd_ref.interop import save_safetensors
from psgd_ref.training import DivergenceError, evaluate
from psgd_ref.training.runs.build import insert_fake_quantizer, model_of
from psgd_ref.training.runs.checkpoint import checkpoints, last_whole, read_checkpoint
from psgd_ref.training.runs.configuration import Configuration
from psgd_ref.training.runs.run import read_metrics, train
from psgd_ref.training.runs.saved import open_saved

CHOSEN = Configuration(data="moons", epochs=4, psgd_from=3, bits=3, batch_size=600, label_smoothing=0.1)


def start(folder, chosen=CHOSEN, **options):
    return train(chosen, folder, say=lambda text: None, show_progress=False, **options)


def contents(folder):
    """All that a run leaves that does not depend on time."""
    lines = [{name: v for name, v in line.items() if name != "seconds"} for line in read_metrics(folder)]
    # Killed between writing a checkpoint and deleting the oldest, a run may leave three.
    return lines, [(path.name, path.read_bytes()) for path in checkpoints(folder)[-2:]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    start(folder)
    return folder


def test_a_run_leaves_configuration_metrics_and_two_checkpoints(undisturbed):
    lines, files = contents(undisturbed)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert [line["optimizer"] for line in lines] == ["sgd", "sgd", "psgd", "psgd"]
    assert set(lines[0]) >= {"loss", "validation_loss", "validation_accuracy", "validation_accuracy_W3"}
    assert all(0 <= line["moved"] <= 1 and 0 <= line["mean_distance"] <= 0.5 for line in lines)
    assert len(checkpoints(undisturbed)) == 2
    assert [name for name, _ in files] == [f"checkpoint-{step:08d}.safetensors" for step in (9, 12)]
    assert sorted(path.name for path in undisturbed.iterdir() if path.suffix != ".safetensors") == [
        "config.toml",
        "metrics.jsonl",
    ]


class Killed(BaseException):
    """Stands for the end of the process."""


def break_at(monkeypatch, count, error):
    """Make the count-th call that changes the disk fail. Returns the names of the calls."""
    calls = []

    def breaking(name, function):
        def call(*args, **kwargs):
            calls.append(name)
            if len(calls) == count:
                raise error
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "fsync", breaking("fsync", os.fsync))
    for name in ("replace", "unlink", "write_text"):
        monkeypatch.setattr(Path, name, breaking(name, getattr(Path, name)))
    return calls


def test_a_process_that_ends_at_any_write_resumes_to_the_same_bits(undisturbed, tmp_path, monkeypatch):
    expected = contents(undisturbed)
    for count in range(1, 100):
        folder = tmp_path / str(count)
        with monkeypatch.context() as patch:
            calls = break_at(patch, count, Killed())
            try:
                start(folder)
            except Killed:
                pass
            else:
                assert len(calls) < count
                break
        start(folder, resume=True)
        assert contents(folder) == expected
    assert count > 20


def test_a_full_disk_loses_nothing_that_was_written(undisturbed, tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    for count in range(12, 24, 3):
        folder = tmp_path / str(count)
        with monkeypatch.context() as patch:
            break_at(patch, count, full)
            with pytest.raises(OSError, match="No space left"):
                start(folder)
        assert last_whole(folder, pytest.fail) is not None
        start(folder, resume=True)
        assert contents(folder) == contents(undisturbed)


def test_a_small_file_system_that_fills_up(undisturbed, tmp_path):
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a file system can only be mounted by root")
    try:
        (tmp_path / "ballast").write_bytes(bytes(40000))
        with pytest.raises(OSError, match="No space left"):
            start(tmp_path / "run")
        assert last_whole(tmp_path / "run", pytest.fail) is not None
        (tmp_path / "ballast").unlink()
        start(tmp_path / "run", resume=True)
        assert contents(tmp_path / "run") == contents(undisturbed)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_damaged_checkpoint_is_passed_over_with_a_word(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    newest = checkpoints(folder)[-1]
    content = bytearray(newest.read_bytes())
    content[-1] ^= 4
    newest.write_bytes(content)
    said = []
    train(CHOSEN, folder, resume=True, say=said.append, show_progress=False)
    assert len(said) == 1
    assert "checkpoint-00000012.safetensors is damaged" in said[0]
    assert "checkpoint-00000009.safetensors is used" in said[0]
    assert contents(folder) == contents(undisturbed)
    for path in checkpoints(folder):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="has no whole checkpoint"):
        start(folder, resume=True)


def test_a_cut_line_of_metrics_is_written_anew(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    checkpoints(folder)[-1].unlink()
    metrics = folder / "metrics.jsonl"
    metrics.write_text(metrics.read_text()[:-20])
    assert len(read_metrics(folder)) == 3
    start(folder, resume=True)
    assert contents(folder)[0] == contents(undisturbed)[0]


@pytest.mark.parametrize(
    "damaged", [b"null", b"{", b"[]", b'{"epoch": "2"}', b'{"epoch": 1}', b'{"loss": 1}', b"\xff", b""]
)
def test_a_damaged_line_of_metrics_is_named_and_the_run_goes_on(damaged, undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed, folder)
    checkpoints(folder)[-1].unlink()
    lines = (folder / "metrics.jsonl").read_bytes().split(b"\n")
    lines[1] = damaged
    (folder / "metrics.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=rf"{folder / 'metrics.jsonl'}, line 2 is damaged"):
        read_metrics(folder)
    said = []
    train(CHOSEN, folder, resume=True, say=said.append, show_progress=False)
    assert len(said) == 1
    assert "line 2 is damaged" in said[0]
    assert "kept as metrics.jsonl.damaged" in said[0]
    assert (folder / "metrics.jsonl.damaged").read_bytes() == b"\n".join(lines)
    expected = contents(undisturbed)
    assert contents(folder) == ([line for line in expected[0] if line["epoch"] != 2], expected[1])


def test_another_configuration_is_refused_and_nothing_changes(undisturbed):
    before = contents(undisturbed)
    other = Configuration(**{**CHOSEN.as_dict(), "lr": 0.2})
    with pytest.raises(ValueError, match=r"another configuration: lr = 0\.1 \(given: 0\.2\)$"):
        start(undisturbed, other, resume=True)
    with pytest.raises(ValueError, match="holds a run already; go on with --resume"):
        start(undisturbed)
    assert contents(undisturbed) == before


def test_a_start_that_is_not_there_is_refused_before_the_folder_is_made(tmp_path):
    with pytest.raises((ValueError, OSError)):
        start(tmp_path / "run", Configuration(**{**CHOSEN.as_dict(), "start": str(tmp_path / "none")}))
    assert list(tmp_path.iterdir()) == []


def test_resuming_a_finished_run_changes_nothing(undisturbed):
    before = contents(undisturbed)
    run = start(undisturbed, resume=True)
    assert not run.interrupted
    assert contents(undisturbed) == before


def test_the_first_phase_is_plain_sgd_and_the_second_starts_from_its_weights(undisturbed, tmp_path):
    plain = Configuration(**{**CHOSEN.as_dict(), "optimizer": "sgd"})
    start(tmp_path / "sgd", plain)
    ours, theirs = contents(undisturbed)[0], contents(tmp_path / "sgd")[0]
    assert ours[:2] == theirs[:2]
    assert ours[2]["loss"] != theirs[2]["loss"]
    # PSGD's momentum starts from zero: the sums of unscaled gradients are another quantity.
    short = Configuration(**{**CHOSEN.as_dict(), "optimizer": "sgd", "epochs": 2, "schedule": "constant"})
    start(tmp_path / "short", short)
    begun = Configuration(**{**CHOSEN.as_dict(), "start": str(checkpoints(tmp_path / "short")[-1]), "lr": 0})
    start(tmp_path / "begun", begun)
    last = [read_checkpoint(checkpoints(tmp_path / name)[-1]).tensors for name in ("short", "begun")]
    assert np.array_equal(*(tensors["fc1.weight"] for tensors in last))


def test_divergence_ends_the_run_and_keeps_what_was_good(tmp_path):
    wild = Configuration(data="moons", epochs=3, bits=2, strength=1e5, batch_size=100)
    with pytest.raises(DivergenceError, match=r"fc\d\.\w+ .*η·mean\(s\) = .*lower (strength|lr)"):
        start(tmp_path, wild)
    found = last_whole(tmp_path, pytest.fail)
    assert found is not None
    assert found.record["epoch"] == 0


def test_bad_options_leave_no_run_behind(tmp_path):
    for wrong, message in (
        ({"model": "vgg12"}, "depth"),
        ({"start": "nothing"}, "no file nothing"),
        ({"label_smoothing": 1.0}, r"label_smoothing must lie in \[0, 1\)"),
        ({"data": "digits", "model": "vgg11"}, "does not fit an image"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            start(tmp_path, Configuration(**{"data": "moons", **wrong}))
    assert list(tmp_path.iterdir()) == []


def accuracies(path, **names):
    return evaluate(*open_saved(path, **names), bits=[8, 2], activations=[8])


def test_evaluation_of_a_folder_and_of_a_file(undisturbed, tmp_path):
    from_folder = accuracies(undisturbed)
    assert list(from_folder) == ["full", "A8", "W8", "W8A8", "W2", "W2A8"]
    path = checkpoints(undisturbed)[-1]
    assert accuracies(path) == from_folder
    assert from_folder["full"] > 0.6
    plain = tmp_path / "plain.safetensors"
    save_safetensors(open_saved(path)[0], plain)
    with pytest.raises(ValueError, match="does not say its model; give it with --model"):
        open_saved(plain)
    with pytest.raises(ValueError, match="does not say its data; give it with --data"):
        open_saved(plain, model="mlp")
    assert accuracies(plain, model="mlp", data="moons") == from_folder
    with pytest.raises(ValueError, match="holds no checkpoint"):
        open_saved(tmp_path)


@pytest.mark.parametrize("grid", GRIDS)
def test_every_grid_is_trained_towards_by_its_name(grid, tmp_path):
    run = start(tmp_path, Configuration(data="moons", grid=grid, bits=3, epochs=1, batch_size=600))
    assert run.metrics[0]["moved"] > 0
    assert 0 < run.metrics[0]["mean_distance"] < 0.5


def test_the_summary_shows_every_metric(undisturbed):
    figure = draw(read_metrics(undisturbed))
    drawn = [len(line.get_xdata()) for ax in figure.axes for line in ax.lines]
    assert drawn.count(len(read_metrics(undisturbed))) == 7
    json.dumps(read_metrics(undisturbed))


@pytest.mark.parametrize("name", QUANTIZERS)
def test_a_run_through_quantizers_learns_them_and_resumes_to_the_same_bits(name, tmp_path, monkeypatch):
    chosen = Configuration(data="moons", optimizer="sgd", epochs=3, bits=2, batch_size=600, quantizer=name)
    whole = start(tmp_path / "whole", chosen)
    model, _ = open_saved(tmp_path / "whole")
    untrained = model_of(chosen, load("moons"))
    insert_fake_quantizer(chosen, untrained)
    learned = [part for part in model.segments if part.role == "quantizer"]
    assert len(learned) >= 3
    assert all((model.w[part.span] != untrained.w[part.span]).any() for part in learned)
    break_at(monkeypatch, 9, Killed())
    with pytest.raises(Killed):
        start(tmp_path / "broken", chosen)
    monkeypatch.undo()
    again = start(tmp_path / "broken", chosen, resume=True)
    assert again.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
