"""Exported ONNX files read back: the same numbers as the operations that they were written from."""

import numpy as np
import pytest

from psgd_ref.interop.deployment.emulation import emulate
from psgd_ref.interop.deployment.network import Integers
from psgd_ref.interop.deployment.onnx_file import export_onnx
from psgd_ref.interop.deployment.onnx_reading import read_onnx
from psgd_ref.interop.deployment.plain import operations
from psgd_ref.interop.deployment.prepare import channels_first, prepare
from tests.interop.deployment.test_files import CONTAINERS, FORMS, OWN, network

onnx = pytest.importorskip("onnx")


@pytest.mark.parametrize("form", [FORMS[0], FORMS[2], FORMS[4], CONTAINERS[0]], ids=str)
@pytest.mark.parametrize("name", ["convnet", "resnet", *OWN])
def test_what_is_read_is_what_was_written(tmp_path, name, form):
    model, images = network(name)
    images = np.abs(images)
    path = tmp_path / "model.onnx"
    export_onnx(model, path, images, **form)
    found, shape = read_onnx(path)
    container = {key: value for key, value in form.items() if key != "container"}
    wanted = operations(prepare(model, images, **container), images.shape[1:])
    x = channels_first(images)
    assert shape == x.shape[1:]
    # The file holds a slope in float32.
    assert np.allclose(emulate(found, x), emulate(wanted, x), rtol=1e-6, atol=0)
    codes = {o.name: o.weight.codes for o in wanted if isinstance(o.weight, Integers)}
    for operation in found:
        if isinstance(operation.weight, Integers):
            assert np.array_equal(operation.weight.codes, codes[operation.name])


def changed(path, change):
    """The file after `change` of its graph."""
    model = onnx.load(path)
    change(model.graph)
    path.write_bytes(model.SerializeToString())


def _first(kind, **attributes):
    def change(graph):
        node = next(node for node in graph.node if node.op_type == kind)
        kept = [each for each in node.attribute if each.name not in attributes]
        del node.attribute[:]
        node.attribute.extend([*kept, *(onnx.helper.make_attribute(*pair) for pair in attributes.items())])

    return change


def _renamed(graph):
    next(node for node in graph.node if node.op_type == "Relu").op_type = "Softplus"


def _without_codes(graph):
    graph.node[0].input[0] = graph.input[0].name


REFUSED = {
    "another operation": (_renamed, "is a Softplus, which the emulation does not know; it knows Conv, "),
    "dilations": (_first("Conv", dilations=[2, 2]), r"dilations must be \[1, 1\] in a Conv; got \[2, 2\]"),
    "pads": (_first("Conv", pads=[2, 1, 1, 1]), "must not be larger at the top or left"),
    "transB": (_first("Gemm", transB=0), "transB must be 1 in a Gemm; got 0"),
    "no constant": (_without_codes, "must be a constant"),
    "axis": (_first("DequantizeLinear", axis=1), "one number or one for each output, axis 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_emulation_does_not_know_is_named(tmp_path, name):
    model, images = network("convnet")
    path = tmp_path / "model.onnx"
    export_onnx(model, path, images, bits=4)
    change, message = REFUSED[name]
    changed(path, change)
    with pytest.raises(ValueError, match=message) as error:
        read_onnx(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_files_that_are_none_are_refused(tmp_path):
    model, images = network("mlp")
    path = tmp_path / "model.onnx"
    export_onnx(model, path, images, bits=4)
    whole = path.read_bytes()
    for content in (b"", b"\xff" * 100, whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is not an ONNX file") as error:
            read_onnx(path)
        assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_onnx(tmp_path / "missing.onnx")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_onnx(tmp_path)
