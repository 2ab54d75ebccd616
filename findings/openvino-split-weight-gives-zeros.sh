#!/usr/bin/env bash
# OpenVINO: a quantized weight with a zero point that is split in two makes the layers return zeros
#
# Versions: openvino 2026.4.1 (CPU), onnxruntime 1.31.1, onnx 1.23.2
#
# Behaviour: One int8 weight (queries and keys side by side, say) is dequantized with a zero point
# that is not 0, split, and each half multiplied with 8-bit activations. OpenVINO compiles it and
# returns 0 for every output. With zero point 0, with float activations, or with the halves
# dequantized separately it is right; onnxruntime and the reference evaluator are right in all of
# them.
#
# Output seen:
#   zero point 3: {'OpenVINO': 'all zeros', 'onnxruntime': 'right'}
#   zero point -1: {'OpenVINO': 'all zeros', 'onnxruntime': 'right'}
#   zero point 0: {'OpenVINO': 'right', 'onnxruntime': 'right'}
#   zero point 3, float input: {'OpenVINO': 'right', 'onnxruntime': 'right'}
#   zero point 3, codes split before: {'OpenVINO': 'right', 'onnxruntime': 'right'}
#
# Why it matters: a projection of all zeros is a legal result and nothing is reported; in an
# attention layer the network still answers, with uniform attention.
#
# What to do: quantize weights symmetrically (zero point 0), or split the integer weight before
# DequantizeLinear.
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
codes = random.integers(-60, 61, (8, 12)).astype(np.int8)
x = random.standard_normal((16, 8)).astype(np.float32)


def outcomes(zero_point, quantized_input=True, split_codes=False):
    constants = {
        "w": codes,
        "scale": np.float32(0.01),
        "zero": np.int8(zero_point),
        "x_scale": np.float32(0.02),
        "x_zero": np.uint8(128),
        "halves": np.array([6, 6]),
    }
    if split_codes:
        constants |= {"w1": codes[:, :6], "w2": codes[:, 6:]}
        nodes = [
            helper.make_node("DequantizeLinear", ["w1", "scale", "zero"], ["left"]),
            helper.make_node("DequantizeLinear", ["w2", "scale", "zero"], ["right"]),
        ]
    else:
        nodes = [
            helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["w_float"]),
            helper.make_node("Split", ["w_float", "halves"], ["left", "right"], axis=1),
        ]
    source = "x"
    if quantized_input:
        source = "x_float"
        nodes += [
            helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_codes"]),
            helper.make_node("DequantizeLinear", ["x_codes", "x_scale", "x_zero"], [source]),
        ]
    nodes += [
        helper.make_node("MatMul", [source, "left"], ["q"]),
        helper.make_node("MatMul", [source, "right"], ["k"]),
    ]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "two projections",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [16, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [16, 6]) for name in "qk"],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items() if n in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "model.onnx")
    truth = np.hstack(ReferenceEvaluator(model).run(None, {"x": x}))
    compiled = openvino.Core().compile_model("model.onnx", "CPU")(x)
    session = onnxruntime.InferenceSession("model.onnx")
    seen = {
        "OpenVINO": np.hstack([compiled[0], compiled[1]]),
        "onnxruntime": np.hstack(session.run(None, {"x": x})),
    }
    close = {name: np.abs(y - truth).max() < 0.01 * np.abs(truth).max() for name, y in seen.items()}
    return {
        name: "right" if close[name] else "all zeros" if (y == 0).all() else "wrong"
        for name, y in seen.items()
    }


right = {"OpenVINO": "right", "onnxruntime": "right"}
expect("zero point 3", outcomes(3), right | {"OpenVINO": "all zeros"})
expect("zero point -1", outcomes(-1), right | {"OpenVINO": "all zeros"})
expect("zero point 0", outcomes(0), right)
expect("zero point 3, float input", outcomes(3, quantized_input=False), right)
expect("zero point 3, codes split before", outcomes(3, split_codes=True), right)
PYTHON
