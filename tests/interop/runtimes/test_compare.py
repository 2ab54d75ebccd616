"""Runtimes against the emulation: those that are installed, and one with every fault."""

import numpy as np
import pytest

from psgd_ref.interop.deployment.network import FIRST, LAST, Operation, in_floats
from psgd_ref.interop.deployment.onnx_file import export_onnx
from psgd_ref.interop.deployment.plain import operations
from psgd_ref.interop.deployment.prepare import channels_first, prepare
from psgd_ref.interop.runtimes.compare import compare, remarks
from psgd_ref.interop.runtimes.known import SETTINGS, Setting
from psgd_ref.interop.runtimes.table import cells, circumstances, markdown, record
from tests.compress.networks import trained_like

pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model, images = trained_like("convnet", 0)
    path = tmp_path_factory.mktemp("runtimes") / "model.onnx"
    export_onnx(model, path, images, bits=4)
    return path, channels_first(images)


def test_the_default_form_is_read_faithfully(exported):
    path, images = exported
    setting = next(setting for setting in SETTINGS if setting.name == "onnxruntime")
    before = path.read_bytes()
    (result,) = compare(path, images, settings=[setting])
    assert (result.reason, result.right, result.differ) == ("", True, 0)
    assert result.bytes == len(before)
    assert result.versions
    assert path.read_bytes() == before


def faulty(fault, switch=""):
    return Setting("faulty", "tests.interop.runtimes.faulty", (), switch, {"fault": fault}, "write floats")


REASONS = {
    "hangs": "took longer than 3 s",
    "dies": "ended by signal 6",
    "raises": "read this",
    "nan": "gave NaN or infinity",
    "shape": "gave logits of shape (8, 9), not (8, 10)",
}


@pytest.mark.parametrize("fault", REASONS)
def test_a_runtime_that_fails_is_reported(exported, fault):
    path, images = exported
    (bad,) = compare(path, images, 20 if fault != "hangs" else 3, [faulty(fault)])
    assert bad.reason.removeprefix("RuntimeError: ") == REASONS[fault]
    assert (bad.error, bad.right) == (None, False)


def test_a_runtime_that_is_wrong_is_named_with_what_mends_it(exported):
    path, images = exported
    off, switched = compare(path, images, settings=[faulty("off"), faulty("none", "exact=1")])
    assert off.error == pytest.approx(0.01, rel=0.01)
    assert remarks([off, switched]) == ["faulty is off by 1.0e-02, 0 predictions differ: exact=1 mends it"]
    assert remarks([switched]) == []
    assert cells(switched)[0] == "faulty, exact=1"
    text = markdown([off, switched])
    assert text.count("\n| ") == 3
    assert text.endswith("exact=1 mends it\n")
    kept = record(path, 8, [off, switched])
    assert [row["right"] for row in kept["results"]] == [False, True]
    assert set(circumstances()) == {"date", "python", "machine", "cpu"}


def test_a_runtime_may_rewrite_its_input_and_need_not_run_floats(exported):
    path, images = exported
    before = path.read_bytes()
    rewrites, floats = compare(path, images, settings=[faulty("rewrites"), faulty("floats")])
    assert rewrites.right
    assert rewrites.ratio > 0
    assert floats.right
    assert floats.ratio is None
    assert path.read_bytes() == before


def test_what_is_not_installed_is_said(exported):
    (result,) = compare(*exported, settings=[Setting("none", "none", ("no-such-package",))])
    assert result.reason == "not installed: no-such-package"


def test_images_of_another_shape_are_refused(exported):
    path, images = exported
    with pytest.raises(ValueError, match="takes images of shape"):
        list(compare(path, images[:, :, 1:]))


def test_the_network_in_floats_is_the_same_without_rounding():
    model, images = trained_like("convnet", 0)
    rounded = prepare(model, np.abs(images), 4, 8)
    found = in_floats(operations(rounded, images.shape[1:]))
    assert all(operation.kind != "Quantize" for operation in found)
    assert (found[0].inputs, found[-1].output) == ((FIRST,), LAST)
    made = {FIRST, *(operation.output for operation in found)}
    assert {name for operation in found for name in operation.inputs} <= made
    assert all(isinstance(operation, Operation) for operation in found)
