"""`make test-runtimes`: every runtime that is known reads the default form faithfully, at some setting."""

import sys

import numpy as np
import pytest

import psgd_ref as pr
from psgd_ref.interop.deployment.onnx_file import export_onnx
from psgd_ref.interop.deployment.prepare import channels_first
from psgd_ref.interop.runtimes.compare import compare
from psgd_ref.interop.runtimes.known import SETTINGS

# Runtimes that compute in less than float32 at their defaults; how much less depends on the CPU.
COARSE = {"openvino": 2e-2, "ncnn": 2e-3}


OLD = pytest.mark.xfail(
    sys.version_info < (3, 12), reason="onnx2tf 1.29, the newest for Python 3.11, converts the network wrong"
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small network of four bits, trained on the digits."""
    digits, model = pr.load("digits"), pr.models.convnet(widths=(8, 16), seed=0)
    pr.fit(model, pr.PSGD(lr=0.3, grid=4), digits, epochs=3)
    images = digits.normalise(digits.validation.images[:50])
    path = tmp_path_factory.mktemp("runtimes") / "model.onnx"
    export_onnx(model, path, images, bits=4)
    return path, channels_first(images)


@pytest.mark.parametrize(
    "setting",
    [pytest.param(s, marks=OLD if s.runtime == "LiteRT" else (), id=s.name) for s in SETTINGS],
)
def test_the_default_form_is_read_faithfully(exported, setting):
    path, images = exported
    before = path.read_bytes()
    (result,) = compare(path, images, settings=[setting])
    assert result.reason == ""
    assert result.error <= COARSE.get(setting.name, 1e-4)
    assert result.differ <= (1 if setting.name in COARSE else 0)
    assert result.bytes > 0
    assert result.ratio is None or np.isfinite(result.ratio)
    assert path.read_bytes() == before
