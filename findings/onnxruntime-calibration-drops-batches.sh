#!/usr/bin/env bash
# onnxruntime: the memory-saving option of the calibration throws batches away
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2
#
# Behaviour: quantize_static with extra_options={"CalibMaxIntermediateOutputs": n} is documented to give the
# same ranges as without, with less memory: after every n batches their minimum and maximum should be worked
# out and merged. They are not; the n batches are deleted. What is left are the batches after the last
# multiple of n: with 5 batches and n = 2 the fifth alone sets all ranges, and with n = 4 too. (If n divides
# the number of batches none is left, and that one case is reported.) In the same place
# CalibMovingAverageConstant has no effect: whatever it is, CalibMovingAverage takes the plain mean of the
# batch ranges.
#
# Output seen (one Gemm; the first of five batches is 8 times as large as the others):
#   range of x, n = None: [-31.2, 24.5]
#   range of x, n = 2: [-2.6, 2.7]
#   range of x, n = 4: [-2.6, 2.7]
#   range of x, n = 3: [-3.1, 2.7]
#   range of x, n = 5: ValueError: No data is collected.
#   error for the first batch, n = None: below 0.02: True
#   error for the first batch, n = 2: above 0.5: True
#   moving average, constants (0.01, 0.5, 0.99) range of x: [[-8.6, 7.1], [-8.6, 7.1], [-8.6, 7.1]]
#
# Why it matters: the option is for networks and calibration sets that do not fit into memory. The fewer
# batches it keeps, the better it looks, and the quantized network then clips activations that were in the
# calibration data. Nothing is printed.
#
# What to do: leave the option out; to save memory make the calibrator oneself with create_calibrator and call
# collect_data once for each part of the data (between calls it does merge). Compare the scale of the network's
# input with the largest input.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'onnxruntime onnx numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import logging

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

logging.disable(logging.WARNING)
generator = np.random.default_rng(0)
batches = [(generator.normal(size=(16, 32)) * size).astype(np.float32) for size in (8, 1, 1, 1, 1)]
weights = generator.normal(size=(8, 32)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("Gemm", ["x", "weights"], ["y"], transB=1)],
    "layer",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [16, 32])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [16, 8])],
    [numpy_helper.from_array(weights, "weights")],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), "float.onnx")


class Batches(CalibrationDataReader):
    def __init__(self):
        self.rest = iter([{"x": x} for x in batches])

    def get_next(self):
        return next(self.rest, None)


def quantized(**options):
    """The range of x to a tenth, and the error for the first batch."""
    quantize_static(
        "float.onnx", "quantized.onnx", Batches(), activation_type=QuantType.QUInt8, extra_options=options
    )
    stored = {c.name: numpy_helper.to_array(c) for c in onnx.load("quantized.onnx").graph.initializer}
    scale, zero = float(stored["x_scale"]), int(stored["x_zero_point"])
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession("quantized.onnx", plain)
    truth = batches[0] @ weights.T
    error = np.abs(session.run(None, {"x": batches[0]})[0] - truth).max() / np.abs(truth).max()
    return [round(-zero * scale, 1), round((255 - zero) * scale, 1)], float(error)


def ends(parts):
    """Smallest and largest number of some batches."""
    return np.array([[part.min(), part.max()] for part in parts])


def close(a, b):
    """Equal but for the rounding of the zero point and of the printed numbers."""
    return bool(np.abs(np.array(a) - np.array(b)).max() < 0.2)


errors = {}
for n, left in ((None, 5), (2, 1), (4, 1), (3, 2)):
    options = {} if n is None else {"CalibMaxIntermediateOutputs": n}
    seen, errors[n] = quantized(**options)
    print(f"range of x, n = {n}: {seen}")
    wanted = ends([np.concatenate(batches[-left:])])[0]
    expect(f"  is that of the last {left} of 5 batches", close(seen, wanted), True)
try:
    seen = str(quantized(CalibMaxIntermediateOutputs=5)[0])
except ValueError as error:
    seen = f"ValueError: {error}"
expect("range of x, n = 5", seen, "ValueError: No data is collected.")
expect("error for the first batch, n = None: below 0.02", errors[None] < 0.02, True)
expect("error for the first batch, n = 2: above 0.5", errors[2] > 0.5, True)
constants = 0.01, 0.5, 0.99
seen = [quantized(CalibMovingAverage=True, CalibMovingAverageConstant=c)[0] for c in constants]
print("moving average, constants", constants, "range of x:", seen)
expect("  they are equal", seen[0] == seen[1] == seen[2], True)
expect("  and the mean of the batch ranges", close(seen[0], ends(batches).mean(axis=0)), True)
PYTHON
