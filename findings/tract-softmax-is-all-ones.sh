#!/usr/bin/env bash
# tract: Softmax between 8-bit input and output returns its largest code everywhere
#
# Versions: tract 0.23.9, onnxruntime 1.31.1, onnx 1.23.2
#
# Behaviour: A Softmax whose input and output are both quantized (QuantizeLinear, DequantizeLinear
# on either side, as every static quantizer writes it) comes out of tract as the same number in
# every place: the largest code. Probabilities add up to the number of classes. With a float input
# or a float output tract is right, as are onnxruntime and the reference evaluator. Other operations
# tried in the same place (Sigmoid, Tanh, pooling, Add, Concat, MatMul) are right in tract to a
# step.
#
# Output seen:
#     reference [0.161 0.125 0.267 0.157 0.082 0.204] tract [1. 1. 1. 1. 1. 1.]
#   Softmax, both quantized: all ones
#   Softmax, float input: right
#   Softmax, float output: right
#   Sigmoid, both quantized: right
#   Tanh, both quantized: right
#
# Why it matters: argmax of equal numbers is class 0: a classifier that ends in a quantized Softmax
# answers class 0 to everything; attention becomes a plain sum.
#
# What to do: leave Softmax in float (nodes_to_exclude of the quantizer), or cut it off the network
# and apply it outside.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    tract==0.23.9 onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'tract onnxruntime onnx numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import numpy as np
import onnx
import onnxruntime
import tract
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

x = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)


def run_tract():
    return tract.onnx().load("model.onnx").into_model().into_runnable().run([x])[0].to_numpy()


def outcome(operation, quantized_input=True, quantized_output=True):
    nodes, source, target = [], "x", "y"
    if quantized_input:
        source = "x_float"
        nodes += [
            helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_codes"]),
            helper.make_node("DequantizeLinear", ["x_codes", "x_scale", "x_zero"], [source]),
        ]
    target = "p" if quantized_output else "y"
    nodes.append(helper.make_node(operation, [source], [target]))
    if quantized_output:
        nodes += [
            helper.make_node("QuantizeLinear", ["p", "y_scale", "y_zero"], ["y_codes"]),
            helper.make_node("DequantizeLinear", ["y_codes", "y_scale", "y_zero"], ["y"]),
        ]
    constants = {
        "x_scale": np.float32(0.03),
        "x_zero": np.uint8(128),
        "y_scale": np.float32(1 / 255),
        "y_zero": np.uint8(0),
    }
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        operation,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)],
        [numpy_helper.from_array(value, n) for n, value in constants.items() if n in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, "model.onnx")
    truth = ReferenceEvaluator(model).run(None, {"x": x})[0]
    ort = onnxruntime.InferenceSession("model.onnx").run(None, {"x": x})[0]
    if np.abs(ort - truth).max() > 1.5 / 255:
        raise SystemExit("behaviour changed: onnxruntime differs from the reference")
    seen = run_tract()
    if np.abs(seen - truth).max() < 1.5 / 255:
        return "right"
    print("  reference", np.round(truth[0], 3), "tract", np.round(seen[0], 3))
    return "all ones" if np.allclose(seen, 1) else "wrong"


expect("Softmax, both quantized", outcome("Softmax"), "all ones")
expect("Softmax, float input", outcome("Softmax", quantized_input=False), "right")
expect("Softmax, float output", outcome("Softmax", quantized_output=False), "right")
expect("Sigmoid, both quantized", outcome("Sigmoid"), "right")
expect("Tanh, both quantized", outcome("Tanh"), "right")
PYTHON
