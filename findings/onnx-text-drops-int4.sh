#!/usr/bin/env bash
# onnx: saved as text, INT4 and INT2 weights are written as "..." and are gone
#
# Versions: onnx 1.23.2
#
# Behaviour: onnx.save(model, "m.onnxtxt") of a model with INT4, UINT4, INT2 or FLOAT4 initializers
# returns without a word; in the file the values read "...". onnx.load of it raises ParseError.
# INT8, float8 and bfloat16 weights and float32 scales survive bit for bit.
#
# Output seen:
#   INT8: equal
#   FLOAT8E4M3FN: equal
#   BFLOAT16: equal
#   INT4: ParseError
#     in the file: True
#     as JSON: equal
#     as textproto: equal
#   UINT4: ParseError
#     in the file: True
#     as JSON: equal
#     as textproto: equal
#   INT2: ParseError
#     in the file: True
#     as JSON: equal
#     as textproto: equal
#   FLOAT4E2M1: ParseError
#     in the file: True
#     as JSON: equal
#     as textproto: equal
#
# Why it matters: the text form is used for diffs and golden files under version control; there the
# codes are lost at saving, and it shows only at loading. A diff of two such files finds different
# int4 weights equal.
#
# What to do: keep 4-bit and 2-bit models in the binary form (or "textproto", "json"), or store the
# codes as INT8.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnx==1.23.2 ml_dtypes==0.6.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'onnx ml_dtypes numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CODES = [1, 0, 1, 1]


def round_trip(kind, name):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "codes",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [helper.make_tensor("w", kind, [4], CODES)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)])
    onnx.save(model, name)
    try:
        back = numpy_helper.to_array(onnx.load(name).graph.initializer[0])
    except onnx.parser.ParseError:
        return "ParseError"
    return "equal" if back.astype(np.float32).tolist() == CODES else "unequal"


for name in ("INT8", "FLOAT8E4M3FN", "BFLOAT16"):
    expect(name, round_trip(getattr(TensorProto, name), "m.onnxtxt"), "equal")
for name in ("INT4", "UINT4", "INT2", "FLOAT4E2M1"):
    kind = getattr(TensorProto, name)
    expect(name, round_trip(kind, "m.onnxtxt"), "ParseError")
    with open("m.onnxtxt") as file:
        line = next(text.strip() for text in file if " w = " in text)
    expect("  in the file", "..." in line, True)
    expect("  as JSON", round_trip(kind, "m.json"), "equal")
    expect("  as textproto", round_trip(kind, "m.textproto"), "equal")
PYTHON
