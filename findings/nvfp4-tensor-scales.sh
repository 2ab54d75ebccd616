#!/usr/bin/env bash
# NVFP4: three libraries mean three numbers by the tensor scale, and without it small layers become zero
#
# Versions: torchao 0.18.0, torch 2.13.0 (CPU), compressed-tensors 0.20.1, mlx 0.32.4 (CPU)
#
# Behaviour: NVFP4 keeps a float8 E4M3 scale for 16 weights and one float32 scale for the tensor. E4M3 ends
# at 0.002, so that without the tensor scale small blocks have no fitting scale. MLX leaves it out unless it
# is given, nn.QuantizedLinear.from_linear has no way to give it, and a layer with weights of 0.001 comes
# back as nothing but zeros. torchao's NVFP4Tensor.to_nvfp4 leaves it out as well (the config for quantize_
# does not) and ends earlier still, at 0.016: of weights of 0.01, 30 % become zero and not 6 %. With it all
# is well, but the number differs: with largest weight M it is M / 2688 in torchao, 2688 / M in
# compressed-tensors, and M itself in MLX's global_scale, which is documented as "scale" only. MLX takes the
# number of either of the others without a word.
#
# Output seen (normal weights; share of zeros after a round trip, and error relative to the weights):
#   weights of 0.01, torchao with tensor scale: [0.06, 0.09]
#   weights of 0.01, torchao without: [0.3, 0.23]
#   weights of 0.01, mlx without: [0.06, 0.13]
#   weights of 0.002, torchao with tensor scale: [0.06, 0.09]
#   weights of 0.002, torchao without: [0.95, 0.92]
#   weights of 0.002, mlx without: [0.96, 0.96]
#   weights of 0.001, mlx layer by from_linear, largest output: 0.0
#   tensor scale for the largest weight 1.0, torchao: 0.000372
#   tensor scale for the largest weight 1.0, compressed-tensors: 2688.0
#   weights of 0.01, mlx with the largest weight: [0.06, 0.09]
#   weights of 0.01, mlx with torchao's number: [0.0, 1.0]
#   weights of 0.01, mlx with compressed-tensors' number: [1.0, 1.0]
#
# Why it matters: very deep networks start their residual projections with weights of 0.002; such a layer is
# switched off in silence. Whoever moves NVFP4 weights to MLX and hands on the tensor scale gets a clipped or
# an empty layer.
#
# What to do: torchao: pass per_tensor_amax_to_scale(weights.abs().max()), or use the config. MLX: pass the
# largest absolute weight as global_scale to both quantize and dequantize; mxfp4 instead for layers. When
# moving weights, work the scale out anew.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torchao==0.18.0 torch==2.13.0 compressed-tensors==0.20.1 'mlx[cpu]==0.32.4' numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torchao torch compressed-tensors mlx numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import mlx.core as mx
import mlx.nn
import numpy as np
import torch
from compressed_tensors.quantization.utils import generate_gparam
from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale

mx.set_default_device(mx.cpu)
usual = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)


def loss(weights, back):
    """Share of zeros, and error relative to the weights."""
    error = np.linalg.norm(back - weights) / np.linalg.norm(weights)
    return [round(float((back == 0).mean()), 2), round(float(error), 2)]


def by_torchao(weights, tensor_scale):
    weights = torch.tensor(weights)
    scale = per_tensor_amax_to_scale(weights.abs().max()) if tensor_scale else None
    return NVFP4Tensor.to_nvfp4(weights, per_tensor_scale=scale).dequantize(torch.float32).numpy()


def by_mlx(weights, tensor_scale=None):
    how = {"group_size": 16, "bits": 4, "mode": "nvfp4"}
    if tensor_scale is not None:
        how["global_scale"] = mx.array(float(tensor_scale), dtype=mx.float32)
    codes = mx.quantize(mx.array(weights), **how)
    return np.array(mx.dequantize(*codes, **how).astype(mx.float32))


for size, wanted in (
    (0.01, [[0.06, 0.09], [0.3, 0.23], [0.06, 0.13]]),
    (0.002, [[0.06, 0.09], [0.95, 0.92], [0.96, 0.96]]),
):
    weights = usual * np.float32(size)
    for name, back, one in zip(
        ("torchao with tensor scale", "torchao without", "mlx without"),
        (by_torchao(weights, True), by_torchao(weights, False), by_mlx(weights)),
        wanted,
    ):
        expect(f"weights of {size}, {name}", loss(weights, back), one)
layer = mlx.nn.Linear(256, 64, bias=False)
layer.weight = mx.array(usual * np.float32(0.001))
layer = mlx.nn.QuantizedLinear.from_linear(layer, group_size=16, bits=4, mode="nvfp4")
largest = float(mx.abs(layer(mx.array(usual))).max())
expect("weights of 0.001, mlx layer by from_linear, largest output", largest, 0.0)

one = torch.tensor(1.0)
seen = round(float(per_tensor_amax_to_scale(one)), 6)
expect("tensor scale for the largest weight 1.0, torchao", seen, 0.000372)
seen = float(generate_gparam(-one, one))
expect("tensor scale for the largest weight 1.0, compressed-tensors", seen, 2688.0)
weights = usual * np.float32(0.01)
largest = torch.tensor(weights).abs().max()
for name, scale, wanted in (
    ("the largest weight", largest, [0.06, 0.09]),
    ("torchao's number", per_tensor_amax_to_scale(largest), [0.0, 1.0]),
    ("compressed-tensors' number", generate_gparam(-largest, largest), [1.0, 1.0]),
):
    expect(f"weights of 0.01, mlx with {name}", loss(weights, by_mlx(weights, scale)), wanted)
PYTHON
