#!/usr/bin/env bash
# onnxruntime: of two quantizations in a row it makes one, on a grid that may be neither
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, openvino 2026.4.1, tract 0.23.9
#
# Behaviour: QuantizeLinear, DequantizeLinear, QuantizeLinear, DequantizeLinear in a row (nothing, an
# Identity or a Dropout between the pairs) become one pair, from basic optimization on. Its scale and
# zero point are worked out anew from the range that both pairs share. A fine grid before a coarse one:
# the coarse one is gone, values lie up to half a coarse step off. A signed grid before an unsigned one:
# the new step is a 255th of the shared range, so that numbers that lie on both grids come back changed.
# Without optimization, and in the ONNX reference, OpenVINO and tract, the two roundings are done as
# the file says. Pairs of different types (int8, uint8) are left alone.
#
# Output seen:
#   step 1/16 and then 1, both int8 with zero point 0, x = -3.5 to 3.5
#     values by the specification: [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
#     off by, reference openvino tract: [0.0, 0.0, 0.0]
#     off by, onnxruntime not optimized, basic, all: [0.0, 0.5, 0.5]
#     different values, specification and onnxruntime: [9, 113]
#     off by, with a Dropout between: 0.5
#     off by, int8 and then uint8: 0.0
#     off by, with session.disable_double_qdq_remover: 0.0
#   step 1/4 with zero point 0 and then step 1/8 with zero point -128; x = 1, 2, 3, 4, 5, 6
#     specification: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
#     onnxruntime: [0.996, 1.992, 2.988, 3.984, 4.98, 5.976]
#
# Why it matters: whoever trains block by block quantizes a block's output and then the next block's
# input. If the second grid is the coarse one that the network was trained with, the default session
# runs another network than the one that was tested, and whole numbers are whole no more.
#
# What to do: set the session option session.disable_double_qdq_remover to 1, or leave one of the two
# pairs out before exporting.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 openvino==2026.4.1 tract==0.23.9 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'onnxruntime onnx openvino tract numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import numpy as np
import onnx
import onnxruntime
import openvino
import tract
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator


def two_pairs(length, *pairs, between=None):
    """Quantize and dequantize twice; a pair is scale, zero point and type."""
    nodes, constants, last = [], [], "x"
    for i, (scale, zero, kind) in enumerate(pairs):
        constants += [
            numpy_helper.from_array(np.float32(scale), f"scale{i}"),
            numpy_helper.from_array(kind(zero), f"zero{i}"),
        ]
        if i and between:
            nodes.append(helper.make_node(between, [last], ["between"]))
            last = "between"
        out = "y" if i == len(pairs) - 1 else f"float{i}"
        grid = [f"scale{i}", f"zero{i}"]
        nodes.append(helper.make_node("QuantizeLinear", [last, *grid], [f"codes{i}"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"codes{i}", *grid], [out]))
        last = out
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [length]) for name in "xy"]
    graph = helper.make_graph(nodes, "pairs", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


Level = onnxruntime.GraphOptimizationLevel


def by_onnxruntime(model, x, level=Level.ORT_ENABLE_ALL, **entries):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    for key, value in entries.items():
        options.add_session_config_entry("session." + key, value)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"x": x})[0]


def by_openvino(model, x):
    core = openvino.Core()
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(core.read_model(model.SerializeToString()), "CPU", hint)([x])[0]


def by_tract(model, x):
    onnx.save(model, "model.onnx")
    return tract.onnx().load("model.onnx").into_model().into_runnable().run([x])[0].to_numpy()


def off(y, wanted):
    return round(float(np.abs(y - wanted).max()), 4)


def twice(x, *pairs):
    """The specification, in NumPy."""
    for scale, zero, kind in pairs:
        limits = np.iinfo(kind)
        x = (np.clip(np.rint(x / scale) + zero, limits.min, limits.max) - zero) * scale
    return x


print("step 1/16 and then 1, both int8 with zero point 0, x = -3.5 to 3.5")
x = np.arange(-56, 57, dtype=np.float32) / 16
pairs = (1 / 16, 0, np.int8), (1, 0, np.int8)
wanted = twice(x, *pairs)
model = two_pairs(len(x), *pairs)
expect("  values by the specification", np.unique(wanted + 0.0).tolist(), [float(i) for i in range(-4, 5)])
others = ReferenceEvaluator(model).run(None, {"x": x})[0], by_openvino(model, x), by_tract(model, x)
expect("  off by, reference openvino tract", [off(y, wanted) for y in others], [0.0, 0.0, 0.0])
levels = Level.ORT_DISABLE_ALL, Level.ORT_ENABLE_BASIC, Level.ORT_ENABLE_ALL
seen = [by_onnxruntime(model, x, level) for level in levels]
expect(
    "  off by, onnxruntime not optimized, basic, all",
    [off(y, wanted) for y in seen],
    [0.0, 0.5, 0.5],
)
expect(
    "  different values, specification and onnxruntime",
    [len(np.unique(y + 0.0)) for y in (wanted, seen[2])],
    [9, 113],
)
dropout = two_pairs(len(x), *pairs, between="Dropout")
expect("  off by, with a Dropout between", off(by_onnxruntime(dropout, x), wanted), 0.5)
mixed = two_pairs(len(x), pairs[0], (1, 128, np.uint8))
expect("  off by, int8 and then uint8", off(by_onnxruntime(mixed, x), wanted), 0.0)
kept = by_onnxruntime(model, x, disable_double_qdq_remover="1")
expect("  off by, with session.disable_double_qdq_remover", off(kept, wanted), 0.0)

print("step 1/4 with zero point 0 and then step 1/8 with zero point -128; x = 1, 2, 3, 4, 5, 6")
x = np.arange(1, 7, dtype=np.float32)
pairs = (1 / 4, 0, np.int8), (1 / 8, -128, np.int8)
expect("  specification", twice(x, *pairs).tolist(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
seen = by_onnxruntime(two_pairs(len(x), *pairs), x)
expect("  onnxruntime", [round(float(y), 3) for y in seen], [0.996, 1.992, 2.988, 3.984, 4.98, 5.976])
PYTHON
