#!/usr/bin/env bash
# float8 E4M3: beyond 448 PyTorch 2.13 saturates, ml_dtypes and JAX give NaN, ONNX does either
#
# Versions: torch 2.13.0 (CPU), ml_dtypes 0.6.0, jax 0.10.2, onnx 1.23.2
#
# Behaviour: Casting float32 to float8_e4m3fn: ml_dtypes (NumPy) and JAX give NaN from 465 on and
# for infinity. PyTorch 2.13 gives 448 there, infinity included. The ONNX Cast saturates by default
# and gives NaN with saturate=0. Inside the range all agree.
#
# Output seen:
#   values [464.0, 465.0, 1000.0, inf]
#   torch: [448.0, 448.0, 448.0, 448.0]
#   ml_dtypes: [448.0, nan, nan, nan]
#   jax: [448.0, nan, nan, nan]
#   onnx, saturate 1: [448.0, 448.0, 448.0, 448.0]
#   onnx, saturate 0: [448.0, nan, nan, nan]
#
# Why it matters: a scale that is one unit too small shows up as NaN in one framework and as a
# silent clip in the other; a test that looks for NaN in PyTorch sees none. Infinities in the input
# vanish too.
#
# What to do: clip to ±448 before the cast, in every framework; look for infinities before it.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 ml_dtypes==0.6.0 jax==0.10.2 onnx==1.23.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torch ml_dtypes jax onnx numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

values = np.array([464, 465, 1000, np.inf], np.float32)


def onnx_cast(saturate):
    kind = TensorProto.FLOAT8E4M3FN
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=kind, saturate=saturate)],
        "cast",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", kind, [4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    return ReferenceEvaluator(model).run(None, {"x": values})[0]


def listed(array):
    return str([float(value) for value in array])


clipped, lost = "[448.0, 448.0, 448.0, 448.0]", "[448.0, nan, nan, nan]"
print("values", listed(values))
expect("torch", listed(torch.tensor(values).to(torch.float8_e4m3fn).float()), clipped)
expect("ml_dtypes", listed(values.astype(ml_dtypes.float8_e4m3fn)), lost)
expect("jax", listed(jnp.asarray(values).astype(jnp.float8_e4m3fn)), lost)
expect("onnx, saturate 1", listed(onnx_cast(1)), clipped)
expect("onnx, saturate 0", listed(onnx_cast(0)), lost)
PYTHON
