#!/usr/bin/env bash
# Ties: with an odd zero point PyTorch and OpenVINO round the other way than ONNX does
#
# Versions: torch 2.13.0 (CPU), openvino 2026.4.1, onnxruntime 1.31.1, onnx 1.23.2
#
# Behaviour: All round half to even, but of different numbers. ONNX (its reference evaluator,
# onnxruntime) and torch.fake_quantize round x/scale and add the zero point;
# torch.quantize_per_tensor and OpenVINO add the zero point first and round the sum. With an odd
# zero point every tie goes the other way, a full step apart. Scale 1 makes it exact in all of them.
#
# Output seen:
#   zero point 0
#     ONNX reference: [-2, -2, 0, 0, 2, 2]
#     onnxruntime: [-2, -2, 0, 0, 2, 2]
#     fake_quantize: [-2, -2, 0, 0, 2, 2]
#     quantize_per_tensor: [-2, -2, 0, 0, 2, 2]
#     OpenVINO: [-2, -2, 0, 0, 2, 2]
#   zero point 2
#     ONNX reference: [0, 0, 2, 2, 4, 4]
#     onnxruntime: [0, 0, 2, 2, 4, 4]
#     fake_quantize: [0, 0, 2, 2, 4, 4]
#     quantize_per_tensor: [0, 0, 2, 2, 4, 4]
#     OpenVINO: [0, 0, 2, 2, 4, 4]
#   zero point 3
#     ONNX reference: [1, 1, 3, 3, 5, 5]
#     onnxruntime: [1, 1, 3, 3, 5, 5]
#     fake_quantize: [1, 1, 3, 3, 5, 5]
#     quantize_per_tensor: [0, 2, 2, 4, 4, 6]
#     OpenVINO: [0, 2, 2, 4, 4, 6]
#
# Why it matters: in PyTorch alone the network trained with fake_quantize and its quantized form
# disagree by a step on ties, and ties are common where inputs or weights lie on a grid themselves
# (pixels, rounded weights).
#
# What to do: use an even zero point (or none: symmetric); in a test allow one step, or keep ties
# out of it.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 onnx==1.23.2 onnxruntime==1.31.1 openvino==2026.4.1 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torch onnx onnxruntime openvino numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import numpy as np
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)


def readings(zero_point):
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"]),
            helper.make_node("Cast", ["codes"], ["y"], to=TensorProto.FLOAT),
        ],
        "quantize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [6])],
        [
            numpy_helper.from_array(np.float32(1), "scale"),
            numpy_helper.from_array(np.int8(zero_point), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    data = model.SerializeToString()
    values = torch.tensor(x)
    faked = torch.fake_quantize_per_tensor_affine(values, 1.0, zero_point, -128, 127)
    quantized = torch.quantize_per_tensor(values, 1.0, zero_point, torch.qint8)
    with open("model.onnx", "wb") as file:
        file.write(data)
    return {
        "ONNX reference": ReferenceEvaluator(model).run(None, {"x": x})[0],
        "onnxruntime": onnxruntime.InferenceSession(data).run(None, {"x": x})[0],
        "fake_quantize": faked.numpy() + zero_point,
        "quantize_per_tensor": quantized.int_repr().numpy(),
        "OpenVINO": openvino.Core().compile_model("model.onnx", "CPU")(x)[0],
    }


for zero_point in (0, 2, 3):
    print("zero point", zero_point)
    for name, codes in readings(zero_point).items():
        wanted = [-2 + zero_point, -2 + zero_point, zero_point, zero_point, 2 + zero_point, 2 + zero_point]
        if zero_point == 3 and name in ("quantize_per_tensor", "OpenVINO"):
            wanted = [0, 2, 2, 4, 4, 6]
        expect(f"  {name}", [int(code) for code in codes], wanted)
PYTHON
