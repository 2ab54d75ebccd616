"""A model's file: whole models come back bit for bit, and files that are not one are refused whole."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from psgd_ref.compress import LSQ, fold_batch_norms, insert_fake_quantizers, prune, spred
from psgd_ref.data import RECIPES
from psgd_ref.interop import load_model, load_safetensors, save
from psgd_ref.interop.model_file import KEY
from psgd_ref.interop.safetensors import read, write
from psgd_ref.models import convnet, mlp, resnet, vgg
from psgd_ref.nn import AvgPool2d, Conv2d, Flatten, Layer, Linear, Model, Sequential
from tests.nn.networks import modern

PLAIN = {
    "mlp": lambda: mlp((6, 5, 3), seed=1),
    "mlp float64": lambda: mlp((6, 5, 3), seed=1, dtype=np.float64),
    "convnet": lambda: convnet(2, (3, 4), 3, seed=1),
    "resnet": lambda: resnet(14, 7, seed=1, width=4),
    "vgg": lambda: vgg(11, 5, seed=1, width=4),
    "modern": lambda: modern(np.float32),
    "windows": lambda: Model(
        Sequential(
            {
                "conv": Conv2d(2, 3, (3, 2), (2, 1), (1, 0), bias=True),
                "pool": AvgPool2d((2, 1), (1, 1), (1, 0)),
                "inner": Sequential({"flatten": Flatten()}),
                "fc": Linear(3 * 6 * 7, 2),
            }
        )
    ),
}
SHAPES = {"mlp": (6,), "mlp float64": (6,), "convnet": (8, 8, 2), "resnet": (8, 8, 3), "vgg": (32, 32, 3)}
SHAPES |= {"pruned": (8, 8, 2), "windows": (10, 8, 2), "modern": (8, 7, 2)}
MODELS = {
    **PLAIN,
    "pruned": lambda: prune(PLAIN["convnet"](), 0.5),
    "folded": lambda: fold_batch_norms(PLAIN["resnet"]()),
}


def randomised(model):
    rng = np.random.default_rng(0)
    model.w[...] += 0.1 * rng.normal(size=model.w.size)
    for buffer in model.buffers.values():
        buffer[...] = rng.uniform(0.5, 2, buffer.shape)
    model.apply_mask()
    return model


@pytest.mark.parametrize("name", MODELS)
def test_a_model_comes_back_bit_for_bit_and_computes_the_same(name, tmp_path):
    model = randomised(MODELS[name]())
    save(model, tmp_path / "model.safetensors")
    found = load_model(tmp_path / "model.safetensors")
    assert found.segments == model.segments
    assert (found.w.dtype, found.w.tobytes()) == (model.w.dtype, model.w.tobytes())
    assert {n: b.tobytes() for n, b in found.buffers.items()} == {
        n: b.tobytes() for n, b in model.buffers.items()
    }
    assert (found.mask is None) == (model.mask is None)
    assert model.mask is None or np.array_equal(found.mask, model.mask)
    shape = SHAPES.get(name, (8, 8, 3))
    x = np.random.default_rng(1).normal(size=(3, *shape)).astype(model.w.dtype)
    assert np.array_equal(found.forward(x), model.forward(x))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_file_of_the_first_format_keeps_its_meaning(tmp_path):
    """There the inputs of a linear layer behind a flattened image are in our order, (H, W, C)."""
    model, path = randomised(PLAIN["windows"]()), tmp_path / "model.safetensors"
    save(model, path)
    tensors, metadata = read(path)
    weight = model.segment("fc.weight").view(model.w)
    in_order = weight.reshape(6, 7, 3, 2).transpose(3, 2, 0, 1).reshape(2, -1)
    assert np.array_equal(tensors["fc.weight"], in_order)
    structure = json.loads(metadata[KEY])
    assert structure["format"] == 2
    save_file({**tensors, "fc.weight": weight.T.copy()}, path, {KEY: json.dumps(structure | {"format": 1})})
    assert np.array_equal(load_model(path).w, model.w)
    other = PLAIN["windows"]()
    load_safetensors(other, path)
    assert np.array_equal(other.w, model.w)
    save(PLAIN["mlp"](), path)
    assert json.loads(read(path)[1][KEY])["format"] == 1


def test_dropout_goes_on_where_it_stood(tmp_path):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(4, 8, 7, 2)), rng.integers(0, 4, 4)
    model, path = modern(), tmp_path / "model.safetensors"
    model.loss_and_grad(x, labels)
    save(model, path)
    found = load_model(path)
    assert found.loss_and_grad(x, labels) == model.loss_and_grad(x, labels)
    assert np.array_equal(found.g, model.g)
    tensors, metadata = read(path)
    for bad in (np.array(-1), np.array(0.5), np.zeros(2, int)):
        save_file({**tensors, "psgd_ref.draws.3": bad}, path, metadata)
        with pytest.raises(ValueError, match=r"psgd_ref.draws.3 must be a whole number >= 0"):
            load_model(path)


def test_the_same_model_gives_the_same_bytes_and_its_weights_load_alone(tmp_path):
    model = randomised(PLAIN["resnet"]())
    for name in ("one", "two"):
        save(model, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    other = PLAIN["resnet"]()
    load_safetensors(other, tmp_path / "one")
    assert np.array_equal(other.w, model.w)


class Foreign(Layer):
    """A layer that no file knows."""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Model(Sequential({"fc": Linear(2, 2), "odd": Foreign()})), "layer odd is a Foreign, which"),
        (lambda: with_quantizers(mlp((2, 3, 2))), "layer fc1 holds LSQ, which"),
        (lambda: spred(mlp((2, 3, 2))), "layer fc1 holds Product, which"),
        (lambda: with_nan(mlp((2, 3, 2))), "NaN or infinity in fc1.weight"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_by_name_and_leaves_no_file(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save(make(), tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def with_quantizers(model):
    insert_fake_quantizers(model, LSQ, 4)
    return model


def with_nan(model):
    model.w[0] = np.nan
    return model


def changed(path, change):
    """The file with its structure changed in place by `change`."""
    structure = json.loads(read(path)[1][KEY])
    found = change(structure)
    save_file(load_file(path), path, {KEY: json.dumps(structure if found is None else found)})


def _set(layer, **options):
    return lambda structure: structure["net"]["layers"][layer].update(options)


HOSTILE = {
    "format": (lambda s: s.update(format=4), "format 1, 2 or 3"),
    "dtype": (lambda s: s.update(dtype="object"), "dtype must be one of float32, float64; got 'object'"),
    "list": (lambda s: [], "format 1"),
    "no net": (lambda s: s.pop("net") and None, "layer net must be one of Sequential, .*; got None"),
    "kind": (_set("conv1", kind="os.system"), "layer conv1 must be one of .*; got 'os.system'"),
    "kind of a list": (_set("conv1", kind=[]), "layer conv1 must be one of"),
    "huge convolution": (_set("conv1", outputs=2**60), "parameters, more or fewer"),
    "huge norm": (_set("bn1", features=2**60), "layer bn1 has 1152921504606846976 features"),
    "negative": (_set("fc", outputs=-3), "outputs of layer fc must be a whole number >= 1; got -3"),
    "words": (_set("conv1", inputs="many"), "inputs of layer conv1 must be .*; got 'many'"),
    "fraction": (_set("fc", inputs=2.5), "inputs of layer fc must be .*; got 2.5"),
    "option": (_set("conv1", command="rm"), "layer conv1 has other options than a Conv2d"),
    "eps": (_set("bn1", eps=float("nan")), "eps of layer bn1"),
    "relu": (_set("bn1", relu="yes"), "relu of layer bn1"),
    "bias": (_set("conv1", bias="gate"), "bias of layer conv1"),
    "children": (lambda s: s["net"].update(layers=[1, 2]), "layers by name"),
    "one layer less": (lambda s: s["net"]["layers"].pop("fc") and None, "fc.weight: unknown"),
    "another name": (lambda s: s["net"]["layers"].update(more={"kind": "ReLU", "slope": 1}), "layer more"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_structure_is_refused(name, tmp_path):
    path = tmp_path / "model.safetensors"
    save(convnet(2, (3, 4), 3), path)
    change, message = HOSTILE[name]
    changed(path, change)
    with pytest.raises(ValueError, match=message) as error:
        load_model(path)
    assert str(error.value).startswith(f"{path} is not a model file: ")
    assert "\n" not in str(error.value)


def test_deep_nesting_ends_in_an_error(tmp_path):
    path, net = tmp_path / "model.safetensors", '{"kind": "Flatten"}'
    save(mlp((2, 2)), path)
    for _ in range(20_000):
        net = f'{{"kind": "Sequential", "layers": {{"a": {net}}}}}' if len(net) < 200_000 else net
    save_file(load_file(path), path, {KEY: f'{{"format": 1, "dtype": "float32", "net": {net}}}'})
    with pytest.raises(ValueError, match="is not a model file"):
        load_model(path)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save(mlp((4, 3, 2)), path)
    whole = path.read_bytes()
    for length in (0, 7, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="not a safetensors file"):
            load_model(path)
    save_file({"a": np.zeros(2, np.float32)}, path)
    with pytest.raises(ValueError, match="holds no structure"):
        load_model(path)
    save_file({"a": np.zeros(2, np.float32)}, path, {KEY: "{not json"})
    with pytest.raises(ValueError, match="is not a model file"):
        load_model(path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load_model(tmp_path)


def test_tensors_that_do_not_fit_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    save(mlp((4, 3, 2)), path)
    tensors, metadata = read(path)
    for tensor, message in (
        (tensors["fc1.weight"].T.copy(), "fc1.weight: shape"),
        (np.full_like(tensors["fc1.weight"], np.inf), "fc1.weight: holds NaN or infinity"),
        (tensors["fc1.weight"].astype(np.int32), "fc1.weight: dtype int32"),
    ):
        save_file({**tensors, "fc1.weight": tensor}, path, metadata)
        with pytest.raises(ValueError, match=message):
            load_model(path)


def test_what_the_training_images_were_is_kept(tmp_path):
    model = mlp((64, 4, 10))
    model.pixels = np.array([1.5], np.float32), np.array([0.1], np.float32)
    for augment in RECIPES.values():
        model.augment = augment
        save(model, tmp_path / "model")
        again = load_model(tmp_path / "model")
        assert again.augment == augment
        assert np.array_equal(again.pixels, model.pixels)
    model.augment = lambda images, rng: images
    with pytest.raises(ValueError, match="Shift, Flip and Chain"):
        save(model, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "part",
    [
        {"augment": {"kind": "Shift", "pixels": -1, "reflect": False}},
        {"augment": {"kind": "os.system"}},
        {"augment": []},
        {"pixels": [[0.0], [0.0]]},
        {"pixels": [[0.0], [float("nan")]]},
        {"pixels": [["a"], ["b"]]},
        {"pixels": 3},
    ],
)
def test_records_of_images_that_are_none_are_refused(tmp_path, part):
    save(mlp((4, 3, 2)), tmp_path / "model")
    tensors, metadata = read(tmp_path / "model")
    structure = json.loads(metadata[KEY]) | part
    write(tmp_path / "model", tensors, {KEY: json.dumps(structure)})
    with pytest.raises(ValueError, match="is not a model file"):
        load_model(tmp_path / "model")
