#!/usr/bin/env bash
# OpenVINO: transposed convolution with uint8 weights is wrong by a multiple of its result
#
# Versions: openvino 2026.4.1 (CPU), onnxruntime 1.31.1, onnx 1.23.2
#
# Behaviour: ConvTranspose of 8-bit activations (zero point 0) with uint8 weights and their zero
# point: OpenVINO subtracts the zero point in unsigned bytes, so that every code below it wraps to a
# large positive weight. With int8 weights, with an activation zero point other than 0 (then it
# computes in floats), and for Conv with the very same weights it is right, as onnxruntime and the
# reference evaluator are in all cases.
#
# Output seen:
#     off by 5.5 times the largest result
#   ConvTranspose, uint8 weights: wrong, as with wrapped codes
#   ConvTranspose, int8 weights: right
#   ConvTranspose, uint8 weights, activation zero point 7: right
#   Conv, uint8 weights: right
#
# Why it matters: uint8 weights with zero points are what asymmetric quantizers write; upsampling
# layers of segmentation and generative networks are the ones hit, while every other layer of the
# file is right.
#
# What to do: use int8 weights in ConvTranspose (subtract 128 from codes and zero point: the same
# numbers).
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

random = np.random.default_rng(0)
codes = random.integers(68, 189, (4, 4, 3, 3)).astype(np.uint8)
x = random.standard_normal((1, 4, 5, 5)).astype(np.float32)


def model_of(kind, codes, zero, x_zero):
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_codes"]),
            helper.make_node("DequantizeLinear", ["x_codes", "x_scale", "x_zero"], ["x_float"]),
            helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_float"]),
            helper.make_node(kind, ["x_float", "w_float"], ["y"], pads=[1] * 4),
        ],
        kind,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in (
                ("x_scale", np.float32(0.02)),
                ("x_zero", x_zero),
                ("w", codes),
                ("w_scale", np.float32(0.004)),
                ("w_zero", zero),
            )
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def reference(model):
    return ReferenceEvaluator(model).run(None, {"x": x})[0]


def outcome(kind, codes=codes, zero=np.uint8(128), x_zero=np.int8(0)):
    model = model_of(kind, codes, zero, x_zero)
    truth = reference(model)
    onnx.save(model, "model.onnx")
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    seen = openvino.Core().compile_model("model.onnx", "CPU", precise)(x)[0]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    ort = onnxruntime.InferenceSession("model.onnx", options).run(None, {"x": x})[0]
    if not np.allclose(ort, truth, atol=1e-4):
        raise SystemExit("behaviour changed: onnxruntime differs from the reference")
    off = np.abs(seen - truth).max() / np.abs(truth).max()
    if off < 1e-4:
        return "right"
    wrapped = reference(model_of(kind, codes - zero, np.uint8(0), x_zero))
    same = np.allclose(seen, wrapped, rtol=1e-4, atol=1e-3)
    print(f"  off by {off:.1f} times the largest result")
    return "wrong, as with wrapped codes" if same else "wrong"


signed = {"codes": (codes.astype(int) - 128).astype(np.int8), "zero": np.int8(0)}
expect("ConvTranspose, uint8 weights", outcome("ConvTranspose"), "wrong, as with wrapped codes")
expect("ConvTranspose, int8 weights", outcome("ConvTranspose", **signed), "right")
seen = outcome("ConvTranspose", x_zero=np.int8(7))
expect("ConvTranspose, uint8 weights, activation zero point 7", seen, "right")
expect("Conv, uint8 weights", outcome("Conv"), "right")
PYTHON
