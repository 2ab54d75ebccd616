"""Checkpoints: everything comes back, damage is noticed, the last two stay."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.compress import MinMaxGrid, prune
from psgd_ref.data import load_moons
from psgd_ref.interop import load_safetensors, save_safetensors
from psgd_ref.interop.safetensors import read, write
from psgd_ref.models import convnet, mlp
from psgd_ref.training import PSGD, SGD, Adam, Recipe
from psgd_ref.training.loop import train_epochs
from psgd_ref.training.progress import Progress
from psgd_ref.training.runs.checkpoint import (
    FIELDS,
    KEY,
    TENSORS,
    checkpoints,
    checksum,
    last_whole,
    read_checkpoint,
    save_checkpoint,
)

DATA = load_moons(200)
OPTIMIZERS = {
    "sgd": lambda: SGD(0.1),
    "psgd": lambda: PSGD(0.1, grid=MinMaxGrid(3)),
    "psgd, ema": lambda: PSGD(0.1, grid=MinMaxGrid(3), refresh="ema"),
    "psgd, every third": lambda: PSGD(0.1, grid=MinMaxGrid(3), refresh=3),
    "adam": lambda: Adam(0.01),
}
EPOCHS, BATCH_SIZE = 3, 50


def network():
    return mlp((2, 6, 2), seed=5)


def pruned():
    return prune(network(), 0.5)


def trained(optimizer, folder=None, stop_at=None, begin=network):
    """A model after three epochs, or after being stopped at a step, saved, and restored into another."""
    model = begin()
    progress = Progress.of(model, optimizer.init(model), 3)
    if stop_at is not None:
        stopped = lambda: progress.step == stop_at  # noqa: E731
        list(train_epochs(model, optimizer, DATA, progress, EPOCHS, Recipe(BATCH_SIZE), stop=stopped))
        assert progress.step == stop_at
        path = save_checkpoint(folder, model, progress, {})
        model = network()
        progress = read_checkpoint(path).restore(model)
    list(train_epochs(model, optimizer, DATA, progress, EPOCHS, Recipe(BATCH_SIZE)))
    return model.w.tobytes()


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_stopping_at_any_step_changes_no_bit(make, tmp_path):
    steps = EPOCHS * -(-len(DATA.train) // BATCH_SIZE)
    undisturbed = trained(make())
    assert {trained(make(), tmp_path, stop_at=k) for k in range(steps)} == {undisturbed}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_pruned_run_goes_on_at_its_mask(make, tmp_path):
    undisturbed = trained(make(), begin=pruned)
    assert {trained(make(), tmp_path, k, pruned) for k in (0, 1, 4)} == {undisturbed}
    weights, model = np.frombuffer(undisturbed, np.float32), pruned()
    assert not weights[~model.mask].any()
    assert (weights != model.w)[model.mask].any()


def test_loading_takes_the_mask_of_the_file_or_none(tmp_path):
    model = pruned()
    path = save_checkpoint(tmp_path, model, Progress.of(model, SGD().init(model), 0), {})
    other = network()
    load_safetensors(other, path)
    assert np.array_equal(other.mask, model.mask)
    save_safetensors(model, tmp_path / "weights.safetensors", (2,))
    load_safetensors(other, tmp_path / "weights.safetensors", (2,))
    assert other.mask is None
    assert np.array_equal(other.w, model.w)
    larger = mlp((2, 7, 2))
    with pytest.raises(ValueError, match="mask"):
        load_safetensors(larger, path)


def saved(folder, steps=2, seed=0):
    """A checkpoint of a network with batch norms, and what it holds."""
    model, optimizer = convnet(1, (2, 3), 2, seed), PSGD(0.1, grid=MinMaxGrid(3), refresh="ema")
    rng = np.random.default_rng(seed)
    progress = Progress.of(model, optimizer.init(model), seed)
    for _ in range(steps):
        model.loss_and_grad(rng.normal(size=(4, 6, 6, 1)).astype(np.float32), rng.integers(0, 2, 4))
        progress.state = optimizer.update(model, progress.state)
        progress.losses.append(float(rng.normal()))
    return model, progress, save_checkpoint(folder, model, progress, {"lr": 0.1, "seed": seed})


def test_everything_comes_back_bit_for_bit(tmp_path):
    model, progress, path = saved(tmp_path)
    copied = convnet(1, (2, 3), 2, seed=9)
    restored = read_checkpoint(path).restore(copied)
    assert copied.w.tobytes() == model.w.tobytes()
    for name, buffer in model.buffers.items():
        assert copied.buffers[name].tobytes() == buffer.tobytes()
    assert restored.state.keys() == progress.state.keys()
    for name, value in progress.state.items():
        assert restored.state[name].dtype == value.dtype
        assert restored.state[name].shape == value.shape
        assert restored.state[name].tobytes() == value.tobytes()
    assert restored.start.tobytes() == progress.start.tobytes()
    for name in ("losses", "largest", "epoch", "generator", "step"):
        assert getattr(restored, name) == getattr(progress, name)
    assert read_checkpoint(path).configuration == {"lr": 0.1, "seed": 0}


def test_the_same_run_writes_the_same_bytes(tmp_path):
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()
    assert saved(tmp_path / "a")[2].read_bytes() == saved(tmp_path / "b")[2].read_bytes()


def test_a_checkpoint_loads_as_a_state_dict(tmp_path):
    model, _, path = saved(tmp_path)
    copied = convnet(1, (2, 3), 2, seed=9)
    load_safetensors(copied, path)
    assert copied.w.tobytes() == model.w.tobytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = saved(tmp_path_factory.mktemp("whole"))[2]
    return path, path.read_bytes()


def flipped(content, place, bit):
    changed = bytearray(content)
    changed[place] ^= 1 << bit
    return bytes(changed)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_flipped_bit_of_a_tensor_is_refused(whole, data):
    path, content = whole
    first = 8 + int.from_bytes(content[:8], "little")
    place = data.draw(st.integers(first, len(content) - 1))
    with pytest.raises(ValueError, match=rf"{path.name} is damaged: its contents do not have"):
        read_checkpoint_bytes(path, flipped(content, place, data.draw(st.integers(0, 7))))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_flipped_bit_of_the_header_is_refused_unless_it_says_the_same(whole, data):
    path, content = whole
    original = read_checkpoint_bytes(path, content)
    place = data.draw(st.integers(0, 7 + int.from_bytes(content[:8], "little")))
    # A blank may become another blank, and the last digit of a number may round to the same number.
    with contextlib.suppress(ValueError):
        assert read_checkpoint_bytes(path, flipped(content, place, data.draw(st.integers(0, 7)))) == original


def read_checkpoint_bytes(path, content):
    path.write_bytes(content)
    found = read_checkpoint(path)
    return found.record, {name: tensor.tobytes() for name, tensor in found.tensors.items()}


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_cut_file_is_refused(whole, data):
    path, content = whole
    with pytest.raises(ValueError, match="checkpoint-00000002"):
        read_checkpoint_bytes(path, content[: data.draw(st.integers(0, len(content) - 1))])


def test_the_last_two_are_kept_and_the_last_whole_one_is_used(tmp_path):
    for steps in (1, 2, 3, 10):
        saved(tmp_path, steps)
    names = ["checkpoint-00000003.safetensors", "checkpoint-00000010.safetensors"]
    assert [path.name for path in checkpoints(tmp_path)] == names
    said = []
    assert last_whole(tmp_path, said.append).path.name == names[1]
    assert said == []
    newest = tmp_path / names[1]
    newest.write_bytes(newest.read_bytes()[:-3])
    assert last_whole(tmp_path, said.append).path.name == names[0]
    assert len(said) == 1
    assert names[1] in said[0]
    assert said[0].endswith(f"{names[0]} is used")
    (tmp_path / names[0]).write_bytes(b"")
    with pytest.raises(ValueError, match=f"has no whole checkpoint: .*{names[1]}.*{names[0]}"):
        last_whole(tmp_path, said.append)
    assert last_whole(tmp_path / "other", said.append) is None


@pytest.mark.parametrize("name", [*TENSORS, *FIELDS])
def test_a_checkpoint_that_lacks_a_part_is_refused(name, tmp_path):
    path = saved(tmp_path)[2]
    tensors, metadata = read(path)
    record = json.loads(metadata[KEY])
    tensors.pop(name, None)
    record.pop(name, None)
    del record["sha256"]
    record["sha256"] = checksum(tensors, record)
    write(path, tensors, {KEY: json.dumps(record)})
    with pytest.raises(ValueError, match=rf"{path.name} is a checkpoint without {name}$"):
        read_checkpoint(path)


def test_a_leftover_of_a_killed_write_is_no_checkpoint(tmp_path):
    path = saved(tmp_path)[2]
    (tmp_path / f"{path.name}.tmp").write_bytes(b"half")
    assert checkpoints(tmp_path) == [path]


def test_a_safetensors_file_from_elsewhere_is_no_checkpoint(tmp_path):
    from psgd_ref.interop import save_safetensors

    save_safetensors(mlp(), tmp_path / "weights.safetensors", (64,))
    with pytest.raises(ValueError, match="is not a checkpoint"):
        read_checkpoint(tmp_path / "weights.safetensors")
