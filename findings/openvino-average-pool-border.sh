#!/usr/bin/env bash
# OpenVINO: average pooling of 8-bit input pads with code 0 instead of zero
#
# Versions: openvino 2026.4.1 (CPU), onnxruntime 1.31.1, onnx 1.23.2
#
# Behaviour: AveragePool with pads and count_include_pad=1 (what torch.nn.AvgPool2d with padding
# exports) behind a QuantizeLinear/DequantizeLinear pair whose zero point is not 0: OpenVINO fills
# the border with code 0, which stands for -zero_point * scale, not for 0. All border outputs are
# wrong, by up to that much. An explicit Pad in front is pulled into the pooling and fares no
# better. With zero point 0, with count_include_pad=0, and in onnxruntime it is right.
#
# Output seen:
#   zero point 128: steps off anywhere, inside: (71.11, 0.0)
#   zero point 10: (5.56, 0.0)
#   zero point 0: (0.0, 0.0)
#   zero point 128, count_include_pad 0: (0.0, 0.0)
#   zero point 128, Pad before AveragePool: (71.11, 0.0)
#
# Why it matters: asymmetric uint8 activations have zero points near 128 as a rule; the error is as
# large as the largest activation and sits at the image border, where accuracy on centred test
# images hides it.
#
# What to do: quantize the input of such a pooling symmetrically (signed, zero point 0), or use
# count_include_pad=0.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'openvino onnxruntime onnx numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

SCALE = np.float32(0.03)
x = np.random.default_rng(0).standard_normal((1, 2, 6, 6)).astype(np.float32)


def errors(zero_point, include=1, explicit_pad=False):
    """Largest difference from the reference, in steps: at the border and inside."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["x_float"]),
    ]
    constants = {"scale": SCALE, "zero": np.uint8(zero_point)}
    window = {"kernel_shape": [3, 3], "count_include_pad": include}
    if explicit_pad:
        constants["pads"] = np.array([0, 0, 1, 1, 0, 0, 1, 1])
        nodes.append(helper.make_node("Pad", ["x_float", "pads"], ["padded"]))
        nodes.append(helper.make_node("AveragePool", ["padded"], ["y"], **window))
    else:
        nodes.append(helper.make_node("AveragePool", ["x_float"], ["y"], pads=[1] * 4, **window))
    graph = helper.make_graph(
        nodes,
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "pool.onnx")
    truth = ReferenceEvaluator(model).run(None, {"x": x})[0]
    ort = onnxruntime.InferenceSession("pool.onnx").run(None, {"x": x})[0]
    if np.abs(ort - truth).max() > 1e-5:
        raise SystemExit("behaviour changed: onnxruntime differs from the reference")
    core = openvino.Core()
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    off = np.abs(core.compile_model("pool.onnx", "CPU", precise)(x)[0] - truth) / SCALE
    inside = off[:, :, 1:-1, 1:-1].max()
    return round(float(off.max()), 2), round(float(inside), 2)


corner = round(128 * 5 / 9, 2)
expect("zero point 128: steps off anywhere, inside", errors(128), (corner, 0.0))
expect("zero point 10", errors(10), (round(10 * 5 / 9, 2), 0.0))
expect("zero point 0", errors(0), (0.0, 0.0))
expect("zero point 128, count_include_pad 0", errors(128, include=0), (0.0, 0.0))
expect("zero point 128, Pad before AveragePool", errors(128, explicit_pad=True), (corner, 0.0))
PYTHON
