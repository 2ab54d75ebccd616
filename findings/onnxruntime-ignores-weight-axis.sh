#!/usr/bin/env bash
# onnxruntime: fused 8-bit layers ignore along which axis the weight is scaled
#
# Versions: onnxruntime 1.31.1, openvino 2026.4.1, onnx 1.23.2
#
# Behaviour: A weight with one scale per INPUT channel (DequantizeLinear with axis along the summed
# dimension, valid ONNX) in front of Gemm, MatMul or Conv with 8-bit activations: onnxruntime fuses
# it into QGemm, QLinearMatMul or QLinearConv, which know output channels only, and applies the
# scales to those. A square layer comes out wrong by its own size, in silence; a MatMul or Conv that
# is not square fails while running. The reference evaluator, OpenVINO and onnxruntime at the basic
# level are right. onnxruntime's own quantizer writes such a file: with per_channel=True for one
# weight shared by a MatMul and a Gemm(transB=1).
#
# Output seen:
#   Gemm (8, 8), scales along axis 0: onnxruntime right
#     as expected: right
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   Gemm (8, 8), scales along axis 1: onnxruntime wrong by 1.09
#     as expected: wrong
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   Gemm (8, 16), scales along axis 1: onnxruntime right
#     as expected: right
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   MatMul (8, 8), scales along axis 1: onnxruntime right
#     as expected: right
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   MatMul (8, 8), scales along axis 0: onnxruntime wrong by 0.81
#     as expected: wrong
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   MatMul (8, 16), scales along axis 0: onnxruntime fails while running
#     as expected: fails
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   Conv (8, 8, 3, 3), scales along axis 0: onnxruntime right
#     as expected: right
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   Conv (8, 8, 3, 3), scales along axis 1: onnxruntime wrong by 1.40
#     as expected: wrong
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   Conv (8, 16, 3, 3), scales along axis 1: onnxruntime fails while running
#     as expected: fails
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#   shared weight, quantize_static(per_channel=True, reduce_range=True): onnxruntime wrong by 0.44
#     wrong: wrong
#     OpenVINO, onnxruntime at the basic level: ['right', 'right']
#
# Why it matters: per-input-channel scales come from equalization and from scales folded through a
# transposed or shared (tied) weight. Everything loads, shapes fit, and the numbers are noise.
#
# What to do: scale weights along the output channel only, or set graph_optimization_level to
# ORT_ENABLE_BASIC; give a shared weight one scale (per_channel=False).
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnx==1.23.2 onnxruntime==1.31.1 openvino==2026.4.1 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'onnx onnxruntime openvino numpy'.split():
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
from onnxruntime.quantization import CalibrationDataReader, quantize_static

onnxruntime.set_default_logger_severity(4)


def layer(kind, shape, axis):
    random = np.random.default_rng(0)
    constants = {
        "w": random.integers(-60, 61, shape).astype(np.int8),
        "w_scale": (0.001 * 2.0 ** random.integers(0, 5, shape[axis])).astype(np.float32),
        "w_zero": np.zeros(shape[axis], np.int8),
        "x_scale": np.float32(0.02),
        "y_scale": np.float32(0.05),
        "zero": np.uint8(128),
    }
    options = {"Gemm": {"transB": 1}, "Conv": {"pads": [1] * 4}}.get(kind, {})
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "zero"], ["x_codes"]),
        helper.make_node("DequantizeLinear", ["x_codes", "x_scale", "zero"], ["x_float"]),
        helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["w_float"], axis=axis),
        helper.make_node(kind, ["x_float", "w_float"], ["sum"], **options),
        helper.make_node("QuantizeLinear", ["sum", "y_scale", "zero"], ["y_codes"]),
        helper.make_node("DequantizeLinear", ["y_codes", "y_scale", "zero"], ["y"]),
    ]
    inputs = shape[0] if kind == "MatMul" else shape[1]
    spatial = (6, 6) if kind == "Conv" else ()
    graph = helper.make_graph(
        nodes,
        kind,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", inputs, *spatial])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None, *spatial])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model, random.standard_normal((16, inputs, *spatial)).astype(np.float32)


def verdict(run, truth):
    try:
        error = np.abs(run() - truth).max() / np.abs(truth).max()
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail:
        return "fails while running"
    return "right" if error < 0.03 else f"wrong by {error:.2f}"


def ort(model, x, level=None):
    options = onnxruntime.SessionOptions()
    if level is not None:
        options.graph_optimization_level = level
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})[0]


def others(model, x, truth):
    onnx.save(model, "layer.onnx")
    compiled = openvino.Core().compile_model("layer.onnx", "CPU")
    basic = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return [verdict(lambda: compiled(x)[0], truth), verdict(lambda: ort(model, x, basic), truth)]


cases = [
    ("Gemm", (8, 8), 0, "right"),
    ("Gemm", (8, 8), 1, "wrong"),
    ("Gemm", (8, 16), 1, "right"),
    ("MatMul", (8, 8), 1, "right"),
    ("MatMul", (8, 8), 0, "wrong"),
    ("MatMul", (8, 16), 0, "fails"),
    ("Conv", (8, 8, 3, 3), 0, "right"),
    ("Conv", (8, 8, 3, 3), 1, "wrong"),
    ("Conv", (8, 16, 3, 3), 1, "fails"),
]
for kind, shape, axis, wanted in cases:
    model, x = layer(kind, shape, axis)
    truth = ReferenceEvaluator(model).run(None, {"x": x})[0]
    seen = verdict(lambda: ort(model, x), truth)
    print(f"{kind} {shape}, scales along axis {axis}: onnxruntime {seen}")
    expect("  as expected", seen.split()[0], wanted)
    expect("  OpenVINO, onnxruntime at the basic level", others(model, x, truth), ["right"] * 2)

random = np.random.default_rng(0)
weight = random.standard_normal((8, 8)).astype(np.float32)
graph = helper.make_graph(
    [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Gemm", ["a", "w"], ["y"], transB=1),
    ],
    "tied",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])],
    [numpy_helper.from_array(weight * 2.0 ** np.arange(-4, 4, dtype=np.float32), "w")],
)
tied = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
onnx.save(tied, "tied.onnx")
x = random.standard_normal((32, 8)).astype(np.float32)


class Batches(CalibrationDataReader):
    def __init__(self):
        self.left = iter([{"x": x}])

    def get_next(self):
        return next(self.left, None)


quantize_static("tied.onnx", "quantized.onnx", Batches(), per_channel=True, reduce_range=True)
model = onnx.load("quantized.onnx")
truth = ReferenceEvaluator(model).run(None, {"x": x})[0]
seen = verdict(lambda: ort(model, x), truth)
print("shared weight, quantize_static(per_channel=True, reduce_range=True): onnxruntime", seen)
expect("  wrong", seen.split()[0], "wrong")
expect("  OpenVINO, onnxruntime at the basic level", others(model, x, truth), ["right"] * 2)
PYTHON
