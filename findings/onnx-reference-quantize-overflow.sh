#!/usr/bin/env bash
# ONNX reference evaluator: QuantizeLinear sends large positive numbers to the most negative code
#
# Versions: onnx 1.23.2, onnxruntime 1.31.1 (x86-64)
#
# Behaviour: The specification says that QuantizeLinear saturates. The reference evaluator goes
# through int32 first: where x/scale exceeds 2^31 the quotient becomes the smallest integer, and the
# code is -128 (0 for uint8) instead of 127 (255). Finite numbers do it: x = 1 with scale 1e-10.
# onnxruntime saturates.
#
# Output seen:
#   x 1, scale 1e-8 (reference, onnxruntime): (127, 127)
#   x 1, scale 1e-10: (-128, 127)
#   x -1, scale 1e-10: (-128, -128)
#   x inf, scale 1: (-128, 127)
#   uint8: x 1, scale 1e-10: (0, 255)
#
# Why it matters: the evaluator is what exporters and runtimes are tested against. A channel that is
# nearly switched off has such a scale, and the oracle then gives the code of the wrong sign.
#
# What to do: do not use the reference evaluator as the oracle where x/scale may exceed 2^31; clip
# first, or write np.clip(np.rint(x / scale) + zero_point, ...) in floating point.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'onnx onnxruntime numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def codes(x, scale, dtype):
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["y"])],
        "quantize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", kind, [1])],
        [
            numpy_helper.from_array(np.float32(scale), "scale"),
            numpy_helper.from_array(dtype(0), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    feed = {"x": np.array([x], np.float32)}
    session = onnxruntime.InferenceSession(model.SerializeToString())
    reference = ReferenceEvaluator(model).run(None, feed)[0]
    return int(reference[0]), int(session.run(None, feed)[0][0])


expect("x 1, scale 1e-8 (reference, onnxruntime)", codes(1, 1e-8, np.int8), (127, 127))
expect("x 1, scale 1e-10", codes(1, 1e-10, np.int8), (-128, 127))
expect("x -1, scale 1e-10", codes(-1, 1e-10, np.int8), (-128, -128))
expect("x inf, scale 1", codes(np.inf, 1, np.int8), (-128, 127))
expect("uint8: x 1, scale 1e-10", codes(1, 1e-10, np.uint8), (0, 255))
PYTHON
