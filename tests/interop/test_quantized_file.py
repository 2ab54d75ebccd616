"""The file of a quantized model: integers in as few bits as they need, back bit for bit, or refused whole."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from psgd_ref.compress import (
    ACIQGrid,
    AdaptivFloatGrid,
    MinMaxGrid,
    calibrated,
    insert_input_quantizers,
    prune,
    quantize,
)
from psgd_ref.interop import load_model, load_quantized, load_safetensors, save
from psgd_ref.interop.model_file import KEY
from psgd_ref.interop.safetensors import read
from psgd_ref.models import convnet, mlp, resnet
from tests.interop.test_model_file import PLAIN, SHAPES, randomised

FORMS = {
    "two bits": {"bits": 2},
    "three bits": {"bits": 3},
    "four bits": {"bits": 4},
    "five bits by channel": {"bits": 5, "per_channel": True},
    "eight bits": {"bits": 8},
    "twelve bits": {"bits": 12},
    "clipped": {"bits": 4, "grid": ACIQGrid},
    "a table": {"bits": 4, "grid": AdaptivFloatGrid},
    "a table by channel": {"bits": 3, "grid": AdaptivFloatGrid, "per_channel": True},
    "corrected": {"bits": 3, "correction": "mean and std"},
}


def made(name="convnet", bits=4, **options):
    return quantize(randomised(PLAIN[name]()), bits, **options)


def same(found, model):
    assert type(found) is type(model)
    assert (found.w.dtype, found.w.tobytes()) == (model.w.dtype, model.w.tobytes())
    assert {n: b.tobytes() for n, b in found.buffers.items()} == {
        n: b.tobytes() for n, b in model.buffers.items()
    }
    assert list(found.quantized) == list(model.quantized)
    for name, tensor in model.quantized.items():
        for part, value in vars(tensor).items():
            other = getattr(found.quantized[name], part)
            assert np.array_equal(other, value)
            assert getattr(other, "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["convnet", "windows", "mlp float64"])
def test_the_same_model_comes_back_bit_for_bit(name, form, tmp_path):
    model = made(name, **FORMS[form])
    model.save(tmp_path / "model.safetensors")
    found = load_quantized(tmp_path / "model.safetensors")
    same(found, model)
    same(load_model(tmp_path / "model.safetensors"), model)
    x = np.random.default_rng(1).normal(size=(3, *SHAPES.get(name, (8, 8, 2)))).astype(model.w.dtype)
    assert np.array_equal(found.forward(x), model.forward(x))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_masks_and_rounded_inputs_come_back(tmp_path):
    model = quantize(prune(randomised(PLAIN["convnet"]()), 0.5), 4)
    images = np.random.default_rng(0).uniform(size=(4, 8, 8, 2)).astype(np.float32)
    insert_input_quantizers(model, calibrated(model, images, 8))
    save(model, tmp_path / "model.safetensors")
    found = load_quantized(tmp_path / "model.safetensors")
    same(found, model)
    assert np.array_equal(found.mask, model.mask)
    assert np.array_equal(found.forward(images), model.forward(images))


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_the_bytes_hold_the_codes_the_first_in_the_low_bits(bits, tmp_path):
    """Read without our packing: the codes in PyTorch's order, each field in two's complement."""
    model = made(bits=bits)
    save(model, tmp_path / "model.safetensors")
    stored = load_file(tmp_path / "model.safetensors")
    width = {2: 2, 3: 4, 4: 4}[bits]
    name = "conv2.weight"  # not an outer layer, which below 4 bits has 8
    wanted = model.quantized[name].codes.transpose(3, 2, 0, 1).ravel()
    packed = stored[f"{name}.codes"]
    assert (packed.dtype, packed.size) == (np.uint8, -(-wanted.size * width // 8))
    each = 8 // width
    for place, code in enumerate(wanted):
        field = (int(packed[place // each]) >> (width * (place % each))) & (2**width - 1)
        assert field == int(code) % 2**width
    assert stored[f"{name}.scale"] == model.quantized[name].scale
    assert name not in stored


@pytest.mark.parametrize(("bits", "share"), [(4, 0.16), (3, 0.16), (2, 0.10), (8, 0.28)])
def test_a_network_of_real_size_takes_as_few_bytes_as_its_codes(bits, share, tmp_path):
    model = resnet(20)
    save(model, tmp_path / "floats")
    save(quantize(model, bits), tmp_path / "codes")
    assert (tmp_path / "codes").stat().st_size <= share * (tmp_path / "floats").stat().st_size


def test_what_is_no_longer_its_codes_is_refused(tmp_path):
    model = made()
    model.segment("conv2.weight").view(model.w)[0, 0, 0, 0] += 1
    with pytest.raises(ValueError, match=r"conv2.weight was changed after it was rounded"):
        model.save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []
    assert "conv2.weight" not in model.weight_bits


def test_files_of_the_other_kind_are_named(tmp_path):
    path = tmp_path / "model.safetensors"
    save(mlp((4, 3, 2)), path)
    with pytest.raises(ValueError, match="holds a model of floats"):
        load_quantized(path)
    quantize(mlp((4, 3, 2))).save(path)
    with pytest.raises(ValueError, match="integers of a quantized model, which load_model reads"):
        load_safetensors(mlp((4, 3, 2)), path)


def _weight(change):
    """A change to the record of one weight."""
    return lambda record, tensors: change(record["conv2.weight"])


def _tensor(part, change):
    """A change to a tensor of that weight; None takes it out."""

    def apply(record, tensors):
        name = f"conv2.weight.{part}"
        found = change(tensors.pop(name))
        if found is not None:
            tensors[name] = found

    return apply


HOSTILE = {
    "record": (lambda r, t: r.clear() or r.update(x=3), "x: its record must hold bits, shape, zero_point"),
    "bits": (_weight(lambda w: w.update(bits=99)), "bits must be a whole number in 2..16; got 99"),
    "bits as text": (_weight(lambda w: w.update(bits="4")), "bits must be"),
    "other bits": (_weight(lambda w: w.update(bits=2)), "take 27 bytes; got 54"),
    "fewer bits": (_weight(lambda w: w.update(bits=3)), r"codes must lie in -4..3"),
    "wide bits": (_weight(lambda w: w.update(bits=8)), "codes of 8 bits must be int8; got uint8"),
    "huge shape": (_weight(lambda w: w.update(shape=[2**40, 2**40])), "codes of 4 bits take"),
    "negative shape": (_weight(lambda w: w.update(shape=[-1])), "shape must be a whole number >= 1"),
    "no axis": (_weight(lambda w: w.update(shape=[])), "1 to 4 axes; got 0"),
    "another shape": (_weight(lambda w: w.update(shape=[4, 27])), "shape .4, 27. given, the model has"),
    "zero point": (_weight(lambda w: w.update(zero_point=0.5)), "zero_point must be"),
    "more": (_weight(lambda w: w.update(run="rm")), "its record must hold"),
    "no codes": (_tensor("codes", lambda t: None), "codes and a scale"),
    "no scale": (_tensor("scale", lambda t: None), "codes and a scale"),
    "codes cut": (_tensor("codes", lambda t: t[:-1].copy()), "take 54 bytes; got 53"),
    "codes as floats": (_tensor("codes", lambda t: t.astype(np.float32)), "must be uint8; got float32"),
    "scale NaN": (_tensor("scale", lambda t: np.full_like(t, np.nan)), "scale must be finite"),
    "scale as double": (_tensor("scale", lambda t: t.astype(np.float64)), "scale must be float32"),
    "scales": (_tensor("scale", lambda t: np.ones(3, np.float32)), "one for each of 4 channels"),
    "scale too large": (_tensor("scale", lambda t: np.full_like(t, 3e38)), "NaN or infinity"),
    "shift": (
        lambda r, t: t.update({"conv2.weight.shift": np.array(1, np.float32)}),
        "shift must be float32 of 1",
    ),
    "unknown": (
        lambda r, t: r.update({"conv9.weight": r.pop("conv2.weight")}),
        "conv9.weight: a quantized weight has",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line(name, tmp_path):
    path = tmp_path / "model.safetensors"
    save(quantize(convnet(2, (3, 4), 3), 4), path)
    structure, tensors = json.loads(read(path)[1][KEY]), load_file(path)
    change, message = HOSTILE[name]
    change(structure["quantized"], tensors)
    save_file(tensors, path, {KEY: json.dumps(structure)})
    with pytest.raises(ValueError, match=message) as error:
        load_quantized(path)
    assert str(error.value).startswith(f"{path} is not a model file: ")
    assert "\n" not in str(error.value)


def test_a_code_outside_a_table_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save(quantize(mlp((4, 3, 2)), 4, AdaptivFloatGrid), path)
    structure, tensors = json.loads(read(path)[1][KEY]), load_file(path)
    tensors["fc1.weight.levels"] = tensors["fc1.weight.levels"][:3].copy()
    save_file(tensors, path, {KEY: json.dumps(structure)})
    with pytest.raises(ValueError, match=r"fc1.weight: codes must lie in -7..-5"):
        load_quantized(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    quantize(mlp((4, 3, 2)), 4, MinMaxGrid).save(path)
    whole = path.read_bytes()
    for length in (0, 7, 20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="not a safetensors file"):
            load_quantized(path)
