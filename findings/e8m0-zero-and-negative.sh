#!/usr/bin/env bash
# E8M0 scales: zero, negative numbers and infinity mean something else in each library
#
# Versions: torch 2.13.0 (CPU), ml_dtypes 0.6.0, onnx 1.23.2, onnxruntime 1.31.1
#
# Behaviour: E8M0 is the power-of-two scale of the MX formats: no sign, no zero. Casting float32 to
# it, 0 becomes NaN in ml_dtypes and 2^-127 elsewhere; -3 becomes NaN in ml_dtypes, 4 (the sign is
# dropped) in PyTorch and the ONNX reference, and 2^-127 in onnxruntime; infinity becomes 2^127 in
# onnxruntime, NaN elsewhere, though the ONNX Cast has saturate=1 by default.
#
# Output seen:
#   values: [0.0, -3.0, inf, 1.0, 6.0]
#   ml_dtypes: ['nan', 'nan', 'nan', '2^0', '2^3']
#   torch: ['2^-127', '2^2', 'nan', '2^0', '2^3']
#   onnx reference: ['2^-127', '2^2', 'nan', '2^0', '2^3']
#   onnxruntime: ['2^-127', '2^-127', '2^127', '2^0', '2^3']
#
# Why it matters: the scale of an all-zero block is 0 before the cast: one library turns the whole
# block to NaN, the others keep it at 0 only because the codes are 0. A negative scale (of a
# quantizer with signed scales) silently changes sign.
#
# What to do: replace zero scales by 1 and refuse negative and infinite ones before casting to E8M0.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 ml_dtypes==0.6.0 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torch ml_dtypes onnx onnxruntime numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import ml_dtypes
import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

values = np.array([0, -3, np.inf, 1, 6], np.float32)
kind = TensorProto.FLOAT8E8M0
graph = helper.make_graph(
    [
        helper.make_node("Cast", ["x"], ["scale"], to=kind, round_mode="nearest"),
        helper.make_node("Cast", ["scale"], ["y"], to=TensorProto.FLOAT),
    ],
    "cast",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=12)


def powers(array):
    return [str(float(v)) if v != v else f"2^{int(np.log2(np.float64(v)))}" for v in array]


session = onnxruntime.InferenceSession(model.SerializeToString())
print("values:", values.tolist())
expect(
    "ml_dtypes",
    powers(values.astype(ml_dtypes.float8_e8m0fnu).astype(np.float32)),
    ["nan", "nan", "nan", "2^0", "2^3"],
)
expect(
    "torch",
    powers(torch.tensor(values).to(torch.float8_e8m0fnu).float().numpy()),
    ["2^-127", "2^2", "nan", "2^0", "2^3"],
)
expect(
    "onnx reference",
    powers(ReferenceEvaluator(model).run(None, {"x": values})[0].astype(np.float32)),
    ["2^-127", "2^2", "nan", "2^0", "2^3"],
)
expect(
    "onnxruntime",
    powers(session.run(None, {"x": values})[0]),
    ["2^-127", "2^-127", "2^127", "2^0", "2^3"],
)
PYTHON
