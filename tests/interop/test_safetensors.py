"""State dicts and safetensors files: layouts, round trips, and refusals that load nothing."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from psgd_ref.interop import load_safetensors, load_state_dict, save_safetensors, state_dict
from psgd_ref.models import convnet, mlp, resnet, vgg

MODELS = {
    "mlp": lambda seed: mlp((6, 5, 3), seed),
    "convnet": lambda seed: convnet(2, (3, 4), 3, seed),
    "resnet": lambda seed: resnet(14, 7, seed, width=4),
    "vgg": lambda seed: vgg(11, 5, seed, width=4),
}


# Of one input: a perceptron flattens it first, and cannot tell rows from images.
SHAPES = {"mlp": (6,), "convnet": (8, 8, 2), "resnet": (8, 8, 3), "vgg": (32, 32, 3)}


def with_statistics(build, seed):
    model, rng = build(seed), np.random.default_rng(seed)
    model.w[...] = rng.normal(size=model.w.size)
    for buffer in model.buffers.values():
        buffer[...] = rng.uniform(0.5, 2, buffer.shape)
    return model


def bits(model):
    return model.w.tobytes(), {name: buffer.tobytes() for name, buffer in model.buffers.items()}


@pytest.mark.parametrize("name", MODELS)
def test_what_is_saved_comes_back_bit_for_bit(name, tmp_path):
    model, other = with_statistics(MODELS[name], 0), with_statistics(MODELS[name], 1)
    assert bits(model) != bits(other)
    save_safetensors(model, tmp_path / "model.safetensors", SHAPES[name])
    load_safetensors(other, tmp_path / "model.safetensors", SHAPES[name])
    assert bits(model) == bits(other)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_linear_weights_are_outputs_by_inputs():
    model = with_statistics(MODELS["mlp"], 0)
    x = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    tensors = state_dict(model, (6,))
    hidden = np.maximum(x @ tensors["fc1.weight"].T + tensors["fc1.bias"], 0)
    assert np.allclose(model.forward(x), hidden @ tensors["fc2.weight"].T + tensors["fc2.bias"], atol=1e-5)


def test_convolution_weights_are_oihw():
    tensors = state_dict(convnet(2, (3, 4), 3))
    assert tensors["conv2.weight"].shape == (4, 3, 3, 3)
    model = convnet(2, (3, 4), 3)
    weight = np.random.default_rng(0).normal(size=(3, 2, 3, 3))
    load_state_dict(model, tensors | {"conv1.weight": weight})
    ours = model.segment("conv1.weight").view(model.w)
    for o, i, row, column in [(0, 1, 2, 0), (2, 0, 1, 2)]:
        assert ours[row, column, i, o] == np.float32(weight[o, i, row, column])


def test_names_are_those_of_the_official_resnet():
    names = set(state_dict(resnet(32, 100)))
    blocks = [f"layer{s}.{b}" for s in (1, 2, 3) for b in range(5)]
    norms = ["bn1", *(f"{b}.bn{k}" for b in blocks for k in (1, 2)), "layer2.0.downsample.1"]
    norms.append("layer3.0.downsample.1")
    expected = {"conv1.weight", "fc.weight", "fc.bias"}
    expected |= {f"{b}.conv{k}.weight" for b in blocks for k in (1, 2)}
    expected |= {"layer2.0.downsample.0.weight", "layer3.0.downsample.0.weight"}
    expected |= {f"{n}.{part}" for n in norms for part in ("weight", "bias", "running_mean", "running_var")}
    assert names == expected


def test_batch_counts_wrappers_and_other_float_dtypes_are_accepted(tmp_path):
    model, other = with_statistics(MODELS["convnet"], 0), with_statistics(MODELS["convnet"], 1)
    tensors = {f"module.{name}": t.astype(np.float64) for name, t in state_dict(model).items()}
    tensors["module.bn1.num_batches_tracked"] = np.array(12)
    save_file(tensors, tmp_path / "wrapped.safetensors")
    load_safetensors(other, tmp_path / "wrapped.safetensors")
    assert bits(model) == bits(other)


def wrapped(name, rng):
    """The name as wrappers give it, which may lie around the whole model or a part of it."""
    parts = name.split(".")
    for wrapper in rng.permutation(["module", "_orig_mod", "module"])[: rng.integers(1, 4)]:
        parts.insert(rng.integers(len(parts)), wrapper)
    return ".".join(parts)


@pytest.mark.parametrize("seed", range(20))
def test_wrappers_in_names_are_ignored_in_any_order(seed):
    rng = np.random.default_rng(seed)
    model, other = with_statistics(MODELS["resnet"], 0), with_statistics(MODELS["resnet"], 1)
    load_state_dict(other, {wrapped(name, rng): t for name, t in state_dict(model).items()})
    assert bits(model) == bits(other)
    tensors = state_dict(model)
    with pytest.raises(ValueError, match=r"fc\.bias is there twice"):
        load_state_dict(other, tensors | {"_orig_mod.fc.bias": tensors["fc.bias"]})


def test_a_prefix_of_all_names_is_said_in_one_line():
    model = with_statistics(MODELS["resnet"], 0)
    tensors = state_dict(model)
    with pytest.raises(ValueError, match=r"^all names begin with 'net\.body\.'; remove it from them$"):
        load_state_dict(model, {f"module.net.body.{name}": t for name, t in tensors.items()})
    inner = {name.removeprefix("layer"): t for name, t in tensors.items() if name.startswith("layer")}
    with pytest.raises(ValueError, match=r"^\d+ of the tensors do not fit"):
        load_state_dict(model, inner)
    small = with_statistics(lambda seed: mlp((4, 3), seed), 0)
    given = {name.rpartition(".")[2]: t for name, t in state_dict(small, (4,)).items()}
    with pytest.raises(ValueError, match=r"^all names lack 'fc1\.', with which"):
        load_state_dict(small, given, (4,))


def test_of_many_problems_five_are_named():
    with pytest.raises(ValueError, match=r"^\d+ of the tensors") as error:
        load_state_dict(mlp((6, 5, 4, 3)), {"extra": np.zeros(2)}, (6,))
    assert str(error.value).startswith("7 of the tensors do not fit the model: ")
    assert str(error.value).count(": missing") == 5
    assert str(error.value).endswith("; and 2 more")


@pytest.mark.parametrize("name", ["F16", "BF16"])
def test_half_precision_files_are_read(name, tmp_path):
    model, other = with_statistics(MODELS["convnet"], 0), with_statistics(MODELS["convnet"], 1)
    header, data, expected = {}, b"", {}
    for key, tensor in state_dict(model).items():
        if name == "F16":
            half, expected[key] = tensor.astype("<f2").tobytes(), tensor.astype("<f2").astype("f")
        else:
            # bfloat16 is the upper two bytes of a float32, the lower two are cut off.
            whole = np.frombuffer(tensor.astype("<f4").tobytes(), np.uint8).reshape(-1, 4)
            half = whole[:, 2:].tobytes()
            cut = (whole * np.array([0, 0, 1, 1], np.uint8)).tobytes()
            expected[key] = np.frombuffer(cut, "<f4").reshape(tensor.shape)
        places = [len(data), len(data) + len(half)]
        header[key] = {"dtype": name, "shape": tensor.shape, "data_offsets": places}
        data += half
    text = json.dumps(header).encode()
    (tmp_path / "half.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    load_safetensors(other, tmp_path / "half.safetensors")
    loaded = state_dict(other)
    for key, tensor in expected.items():
        assert np.array_equal(loaded[key], tensor)


def spoilt(change):
    tensors = state_dict(with_statistics(MODELS["convnet"], 0))
    change(tensors)
    return tensors


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (lambda t: t.pop("conv1.weight"), [r"1 of the tensors", r"conv1.weight: missing.*\(3, 2, 3, 3\)"]),
        (lambda t: t.update({"extra": np.zeros(2)}), [r"extra: unknown, \(2,\) given"]),
        (
            lambda t: t.update({"fc.weight": t["fc.weight"].T, "bn1.running_var": np.ones(9)}),
            [r"2 of", r"fc.weight: shape \(4, 3\) given, the model has \(3, 4\)", r"bn1.running_var: shape"],
        ),
        (lambda t: t.update({"fc.bias": np.zeros(3, int)}), ["fc.bias: dtype int64"]),
        (lambda t: t.update({"fc.bias": np.full(3, np.nan)}), ["fc.bias: holds NaN"]),
    ],
)
def test_a_mismatch_is_named_and_nothing_is_loaded(change, messages, tmp_path):
    model = with_statistics(MODELS["convnet"], 1)
    before = bits(model)
    path = tmp_path / "spoilt.safetensors"
    save_file({name: np.ascontiguousarray(t) for name, t in spoilt(change).items()}, path)
    for message in messages:
        with pytest.raises(ValueError, match=f"spoilt.safetensors: .*{message}"):
            load_safetensors(model, path)
    assert bits(model) == before


def test_files_that_are_not_safetensors_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_safetensors(mlp(), path, (64,))
    whole = path.read_bytes()
    for content in (b"", b"x" * 100, whole[:-1], whole[:20], whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model.safetensors is not a safetensors file"):
            load_safetensors(mlp(), path, (64,))
    header = b'{"fc1.weight":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(ValueError, match=r"fc1.weight is F8_E4M3; accepted are F64, F32, F16, BF16"):
        load_safetensors(mlp(), path, (64,))
    with pytest.raises(OSError, match="no file"):
        load_safetensors(mlp(), tmp_path / "nothing")
    with pytest.raises(OSError, match="is a folder"):
        load_safetensors(mlp(), tmp_path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_safetensors(mlp(seed=0), path, (64,))
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_safetensors(mlp(seed=1), path, (64,))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_pytorch_gives_the_same_logits():
    torch = pytest.importorskip("torch")
    model = with_statistics(MODELS["convnet"], 0)
    net = torch.nn.Sequential()
    inputs = 2
    for k, width in ((1, 3), (2, 4)):
        if k == 2:
            net.add_module("pool", torch.nn.MaxPool2d(2))
        net.add_module(f"conv{k}", torch.nn.Conv2d(inputs, width, 3, padding=1, bias=False))
        net.add_module(f"bn{k}", torch.nn.BatchNorm2d(width))
        net.add_module(f"relu{k}", torch.nn.ReLU())
        inputs = width
    net.add_module("mean", torch.nn.AdaptiveAvgPool2d(1))
    net.add_module("flatten", torch.nn.Flatten())
    net.add_module("fc", torch.nn.Linear(4, 3))
    net.load_state_dict({name: torch.from_numpy(t) for name, t in state_dict(model).items()}, strict=True)
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 2)).astype(np.float32)
    with torch.no_grad():
        theirs = net.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    assert np.allclose(model.forward(x), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("bn1.running_var", -1e-3, "bn1.running_var: holds a negative variance, -0.001"),
        ("conv1.weight", 1e39, "conv1.weight: holds numbers beyond the range of float32, 1e.39 among them"),
        ("conv1.weight", np.nan, "conv1.weight: holds NaN or infinity"),
    ],
)
def test_what_is_not_finite_in_the_models_dtype_is_refused(name, value, problem):
    model = convnet()
    before = model.w.copy()
    tensors = {key: tensor.astype(np.float64) for key, tensor in state_dict(model).items()}
    tensors[name].flat[0] = value
    with pytest.raises(ValueError, match=problem):
        load_state_dict(model, tensors)
    assert np.array_equal(model.w, before)
    wide = convnet(dtype=np.float64)
    if value == 1e39:
        load_state_dict(wide, tensors)
