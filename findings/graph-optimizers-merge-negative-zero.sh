#!/usr/bin/env bash
# onnxslim and onnxoptimizer merge -0.0 into 0.0 and so change the sign of an infinity
#
# Versions: onnxslim 0.1.98, onnxoptimizer 0.4.2, onnxsim 0.8.1, onnxscript 0.7.2, onnxruntime
# 1.31.1
#
# Behaviour: Both tools drop duplicate initializers and compare them by value, where -0.0 equals
# 0.0. Two constants that differ in the sign of zero become one. onnxsim and the onnxscript
# optimizer keep both.
#
# Output seen:
#   before: [inf, -inf]
#   onnxslim: [inf, inf]
#   onnxoptimizer: [inf, inf]
#   onnxsim: [inf, -inf]
#   onnxscript: [inf, -inf]
#
# Why it matters: rounding a small negative weight gives -0.0, so quantized float weights are full
# of it; two channels or tensors that differ only there are merged, and a bit-for-bit comparison of
# weights before and after the optimizer fails. The output changes only where the sign of zero
# counts (division, atan2, copysign).
#
# What to do: write +0.0 (weights + 0.0) before exporting rounded weights as floats, or export codes
# and scale.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxslim==0.1.98 onnxoptimizer==0.4.2 onnxsim==0.8.1 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'onnxslim onnxoptimizer onnxsim onnxscript onnx onnxruntime numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import numpy as np
import onnxoptimizer
import onnxruntime
import onnxscript.optimizer
import onnxsim
import onnxslim
from onnx import TensorProto, helper, numpy_helper


def model():
    outputs = ["over_plus", "over_minus"]
    graph = helper.make_graph(
        [
            helper.make_node("Div", ["x", "plus"], ["over_plus"]),
            helper.make_node("Div", ["x", "minus"], ["over_minus"]),
        ],
        "zeros",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in outputs],
        [
            numpy_helper.from_array(np.array([0.0], np.float32), "plus"),
            numpy_helper.from_array(np.array([-0.0], np.float32), "minus"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def quotients(made):
    session = onnxruntime.InferenceSession(made.SerializeToString())
    return [float(y[0]) for y in session.run(None, {"x": np.ones(1, np.float32)})]


inf = float("inf")
expect("before", quotients(model()), [inf, -inf])
expect("onnxslim", quotients(onnxslim.slim(model())), [inf, inf])
expect("onnxoptimizer", quotients(onnxoptimizer.optimize(model())), [inf, inf])
expect("onnxsim", quotients(onnxsim.simplify(model())[0]), [inf, -inf])
expect("onnxscript", quotients(onnxscript.optimizer.optimize(model())), [inf, -inf])
PYTHON
