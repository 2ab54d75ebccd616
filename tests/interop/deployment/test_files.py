"""Exported networks against the model itself, against onnxruntime and against a C compiler."""

import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from psgd_ref.compress import LSQ, AdaptivFloatGrid, MinMaxGrid, insert_fake_quantizers, prune, quantize
from psgd_ref.interop.deployment.c_header import export_c
from psgd_ref.interop.deployment.emulation import emulate
from psgd_ref.interop.deployment.network import Integers
from psgd_ref.interop.deployment.onnx_file import export_onnx
from psgd_ref.interop.deployment.packing import container_bits, pack, unpack
from psgd_ref.interop.deployment.plain import operations
from psgd_ref.interop.deployment.prepare import channels_first, prepare
from psgd_ref.nn import (
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    Model,
    ReLU,
    ReLU6,
    Sequential,
)
from tests.compress.networks import trained_like

NETWORKS = ("convnet", "mlp", "resnet", "vgg")
FORMS = (
    {},
    {"bits": 4},
    {"bits": 2, "per_channel": True},
    {"bits": 8, "activation_bits": 8},
    {"bits": 3, "activation_bits": 4},
)
CONTAINERS = ({"bits": 4, "container": "int4"}, {"bits": 2, "container": "int2"})


def flattened(seed=0):
    """Convolution, flatten, linear: the order of a flattened image matters; and a batch norm by itself."""
    layers = {
        "norm0": BatchNorm(2),
        "conv": Conv2d(2, 3, 3, stride=2, padding=1, bias=True),
        "relu": ReLU(),
        "pool": AvgPool2d(2, 1, 1),
        "flatten": Flatten(),
        "fc": Linear(3 * 4 * 5, 4),
    }
    model, rng = Model(Sequential(layers), seed, np.float64), np.random.default_rng(seed)
    images = rng.normal(size=(5, 5, 7, 2))
    for _ in range(20):
        model.forward(images, training=True)
    return model, images


def mobile(seed=0):
    """Groups, an even window that keeps the size, other ReLUs, and a norm between flatten and linear."""
    layers = [
        *(Conv2d(2, 6, (4, 3), padding="same", bias=True), ReLU6()),
        *(Conv2d(6, 6, 3, stride=2, padding=1, groups=6), BatchNorm(6), ReLU()),
        *(Conv2d(6, 4, 2, padding="same", groups=2), Dropout(0.5)),
        *(Flatten(), BatchNorm(4 * 3 * 4), ReLU(), Linear(4 * 3 * 4, 4, bias=False), LeakyReLU(0.2)),
    ]
    model, rng = Model(Sequential(layers), seed, np.float64), np.random.default_rng(seed)
    images = 3 * rng.normal(size=(5, 5, 7, 2))
    for _ in range(20):
        model.forward(images, training=True)
    return model, images


OWN = {"flattened": flattened, "mobile": mobile}


def network(name):
    return OWN[name]() if name in OWN else trained_like(name, 0)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("name", [*NETWORKS, *OWN])
def test_the_plain_network_computes_what_the_model_does(name, form):
    model, images = network(name)
    images = np.abs(images)
    prepared = prepare(model, images, **form)
    found = emulate(operations(prepared, images.shape[1:]), channels_first(images))
    wanted = prepared.forward(images)
    assert np.abs(found - wanted).max() <= 3e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("name", [*NETWORKS, *OWN])
def test_the_codes_are_those_of_quantize(name):
    model, images = network(name)
    quantized = quantize(model, 4)
    found = {
        o.name: o.weight for o in operations(quantized, images.shape[1:]) if isinstance(o.weight, Integers)
    }
    named = {
        key.removesuffix(".weight"): t for key, t in quantized.quantized.items() if key.endswith("weight")
    }
    assert found.keys() == named.keys()
    for key, weight in found.items():
        codes = named[key].codes
        if codes.ndim == 4:
            assert np.array_equal(weight.codes, codes.transpose(3, 2, 0, 1))
        else:
            assert np.array_equal(np.sort(weight.codes, axis=None), np.sort(codes, axis=None))


@pytest.mark.parametrize("form", [*FORMS, *CONTAINERS], ids=str)
@pytest.mark.parametrize("name", [*NETWORKS, *OWN])
def test_onnxruntime_reads_the_file_as_it_is_meant(tmp_path, name, form):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model, images = network(name)
    written = export_onnx(model, tmp_path / "model.onnx", np.abs(images), **form)
    assert written.error is not None
    # An activation half-way between two codes may be rounded either way in float32.
    assert written.error < (1e-2 if "activation_bits" in form else 1e-5)
    assert written.bytes == (tmp_path / "model.onnx").stat().st_size
    made = onnx.load(tmp_path / "model.onnx")
    packed = any(tensor.data_type == onnx.TensorProto.INT2 for tensor in made.graph.initializer)
    assert packed == (form.get("container") == "int2" and name != "flattened")  # outer layers have 8 bits
    opset, version = (25, 13) if packed else (21, 10)
    assert (made.opset_import[0].version, made.ir_version) == (opset, version)
    assert all(tensor.HasField("raw_data") for tensor in made.graph.initializer)


@pytest.mark.parametrize(("bits", "warned"), [(None, False), (4, False), (8, True)])
def test_saturation_is_warned_of_where_it_can_be(bits, warned, tmp_path):
    pytest.importorskip("onnxruntime")
    model, images = network("convnet")
    written = export_onnx(model, tmp_path / "model.onnx", np.abs(images), bits=bits, activation_bits=8)
    assert any("saturate" in warning for warning in written.warnings) == warned


def test_a_file_that_does_not_compute_its_own_numbers_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    model, images = network("mlp")
    monkeypatch.setattr("psgd_ref.interop.deployment.onnx_file.emulate", lambda net, x: 1.1 * emulate(net, x))
    with pytest.raises(ValueError, match="not written"):
        export_onnx(model, tmp_path / "model.onnx", images, bits=4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")
@pytest.mark.parametrize("form", [FORMS[0], FORMS[1], FORMS[2], FORMS[4]], ids=str)
@pytest.mark.parametrize("name", ["convnet", "resnet", *OWN])
def test_the_c_header_compiles_and_computes_the_same(tmp_path, name, form):
    model, images = network(name)
    images = np.abs(images)[:2]
    prepared = prepare(model, images, **form)
    export_c(prepared, tmp_path / "network.h", images)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "network.h"\nint main(void) {\n'
        "  static float x[PSGD_INPUTS], y[PSGD_OUTPUTS];\n"
        "  while (fread(x, sizeof x, 1, stdin) == 1) { psgd_run(x, y); fwrite(y, sizeof y, 1, stdout); }\n"
        "  return 0;\n}\n"
    )
    compiler = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-O1"]
    subprocess.run([*compiler, "main.c", "-lm", "-o", "main"], check=True, cwd=tmp_path)
    x = channels_first(images)
    run = subprocess.run([tmp_path / "main"], input=x.tobytes(), capture_output=True, check=True)
    found = np.frombuffer(run.stdout, np.float32).reshape(len(images), -1)
    wanted = emulate(operations(prepared, images.shape[1:]), x)
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@given(st.sampled_from([2, 4, 8]), st.data())
def test_packed_codes_come_back(bits, data):
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    shape = data.draw(arrays.array_shapes(max_dims=4, max_side=5))
    codes = data.draw(arrays.arrays(np.int8, shape, elements=st.integers(low, high)))
    packed = pack(codes, bits)
    assert packed.size == -(-codes.size * bits // 8)
    assert np.array_equal(unpack(packed, bits, shape), codes)


def test_the_first_code_is_in_the_low_bits():
    assert pack(np.array([1, 2, 3], np.int8), 4).tolist() == [0x21, 0x03]
    assert pack(np.array([1, -1, 0, -2, 1], np.int8), 2).tolist() == [0b10001101, 1]
    assert [container_bits(bits) for bits in range(1, 9)] == [2, 2, 4, 4, 8, 8, 8, 8]


def test_bad_input_is_refused(tmp_path):
    model, images = network("convnet")
    learning = model.copy()
    insert_fake_quantizers(learning, LSQ, 4)
    quantized, wide = quantize(model, 4), quantize(model, 12)
    table = quantize(model, 4, AdaptivFloatGrid)
    corrected = quantize(model, 4, MinMaxGrid, correction="mean")
    pruned = prune(quantized, 0.5)
    path, shape = tmp_path / "model.onnx", images.shape[1:]
    for call, message in (
        (lambda: export_onnx(model, path, images, container="int3"), "int8, int4, int2"),
        (lambda: export_onnx(model, path, images[:0]), "at least one"),
        (lambda: prepare(quantized, images, 4), "quantized already"),
        (lambda: operations(learning, shape), "conv1 holds a quantizer"),
        (lambda: operations(table, shape), "table of levels"),
        (
            lambda: operations(Model(Sequential([GELU()])), shape),
            "layer 0 is a GELU, which",
        ),
        (lambda: operations(corrected, shape), "corrected channels"),
        (lambda: export_onnx(pruned, path, images), "weight was changed after it was rounded; quantize"),
        (lambda: export_c(pruned, path, images), "weight was changed after it was rounded; quantize"),
        (lambda: operations(prepare(model, np.abs(images), 4, 12), shape), "12 bits"),
        (lambda: export_c(wide, path, images), "at most 8 bits"),
        (lambda: pack(np.array([8], np.int8), 4), "-8..7"),
        (lambda: unpack(np.zeros(3, np.uint8), 4, (3,)), "take 2 bytes; got 3"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert list(tmp_path.iterdir()) == []
