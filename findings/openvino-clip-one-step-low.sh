#!/usr/bin/env bash
# OpenVINO: the bounds of a Clip (ReLU6) behind quantized input are moved down to the input's grid
#
# Versions: openvino 2026.4.1 (CPU), onnxruntime 1.32.0, onnx 1.23.2
#
# Behaviour: in QuantizeLinear, DequantizeLinear, Clip(low, high), with 8-bit codes and one scale, OpenVINO
# clips codes instead of numbers, with low / scale and high / scale cut to whole numbers. A bound between two
# grid points moves down to the lower one, the lower bound too: Clip(1.6, 6.7) with scale 1 becomes
# Clip(1, 6). Worse, a bound that lies on the grid can move a whole step, as if the quotient were worked
# out in float32 by the reciprocal of the scale and came out as 14.999999 instead of 15. ReLU6 with scale 6/15,
# 16 levels from 0 to 6, tops out at 5.6. That happens for more than half of all scales 6/n. ONNX's reference
# evaluator and onnxruntime give 6. Float32 as precision, or accuracy as hint, changes nothing.
#
# Output seen:
#   scale 1, Clip(1.6, 6.7): smallest and largest output: [1.0, 6.0]
#   scale 0.4 (16 levels), ReLU6: largest output: 5.6
#   scale 6/7 (8 levels), ReLU6: largest output: 5.143
#   scale 0.05, Clip(0.5, 1): smallest and largest output: [0.45, 0.95]
#   the same, EXECUTION_MODE_HINT ACCURACY: [0.45, 0.95]
#   ReLU6, scales 6/20 to 6/255: too low by one step: 136 of 236
#   onnxruntime: too low: 0 of 236
#   scale 0.4, Max and Min instead of Clip: largest output: 5.6
#   scale 0.4, Clip(0, 6.2), half a step higher: largest output: 6.0
#
# Why it matters: every saturated activation of the layer is one step too small, all in the same direction,
# so that nothing averages out: 7 % with 4-bit activations, 14 % with 3. Whether it happens depends on the
# last bit of the scale, so one layer does it and the next, or the next calibration, does not.
#
# What to do: let the clip be done by the quantization itself (leave out Clip where the bound is the end of
# the range of codes), or put Clip before QuantizeLinear. For a bound on the grid write one half a step higher:
# the result is the same in other runtimes and right in OpenVINO. Max and Min are no way round. Compare the
# largest output of such a layer with the bound.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

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

core = openvino.Core()
PRECISE = {"INFERENCE_PRECISION_HINT": "f32"}
x = np.linspace(-2, 14, 64, dtype=np.float32).reshape(1, 4, 4, 4)


def outputs(scale, low, high, hints=PRECISE, as_clip=True):
    """Smallest and largest output of OpenVINO, and of onnxruntime, which must be the reference's."""
    clip = helper.make_node("Clip", ["x_float", "low", "high"], ["y"])
    both = helper.make_node("Max", ["x_float", "low"], ["t"]), helper.make_node("Min", ["t", "high"], ["y"])
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"]),
            helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["x_float"]),
            *([clip] if as_clip else both),
        ],
        "clip",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, x.shape)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in (
                ("scale", np.float32(scale)),
                ("zero", np.uint8(0)),
                ("low", np.float32(low)),
                ("high", np.float32(high)),
            )
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    truth = ReferenceEvaluator(model).run(None, {"x": x})[0]
    other = onnxruntime.InferenceSession(content).run(None, {"x": x})[0]
    if np.abs(other - truth).max() > 1e-5:
        raise SystemExit("behaviour changed: onnxruntime differs from the reference")
    y = core.compile_model(core.read_model(content), "CPU", hints)(x)[0]
    return [[round(float(end), 3) for end in (z.min(), z.max())] for z in (y, other)]


expect("scale 1, Clip(1.6, 6.7): smallest and largest output", outputs(1, 1.6, 6.7)[0], [1.0, 6.0])
expect("scale 0.4 (16 levels), ReLU6: largest output", outputs(0.4, 0, 6)[0][1], 5.6)
expect("scale 6/7 (8 levels), ReLU6: largest output", outputs(6 / 7, 0, 6)[0][1], 5.143)
expect("scale 0.05, Clip(0.5, 1): smallest and largest output", outputs(0.05, 0.5, 1)[0], [0.45, 0.95])
hints = {"EXECUTION_MODE_HINT": "ACCURACY"}
expect("the same, EXECUTION_MODE_HINT ACCURACY", outputs(0.05, 0.5, 1, hints)[0], [0.45, 0.95])
low = np.zeros(2, int)
for n in range(20, 256):
    low += [round((6 - ends[1]) / (6 / n)) == 1 for ends in outputs(6 / n, 0, 6)]
print("ReLU6, scales 6/20 to 6/255: too low by one step:", low[0], "of 236")
expect("  that is more than 100", bool(low[0] > 100), True)
expect("onnxruntime: too low, of 236", int(low[1]), 0)
expect("scale 0.4, Max and Min instead of Clip: largest output", outputs(0.4, 0, 6, as_clip=False)[0][1], 5.6)
expect("scale 0.4, Clip(0, 6.2), half a step higher: largest output", outputs(0.4, 0, 6.2)[0][1], 6.0)
PYTHON
