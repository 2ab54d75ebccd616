#!/usr/bin/env bash
# torchao: a pruned row becomes NaN in float8, an all-zero layer in NVFP4
#
# Versions: torchao 0.18.0, torch 2.13.0 (CPU), compressed-tensors 0.20.1
#
# Behaviour: Float8WeightOnlyConfig takes one scale a row, the largest weight / 448. Where a row is all
# zero it divides zero by zero: the stored weights are NaN, that output is NaN for every input, and one
# layer further on all of them are. NVFP4WeightOnlyConfig, as it is by default, does the same to a layer
# that is zero as a whole (its tensor scale is 0). Nothing is raised or printed. The integer configs, the
# MX formats and NVFP4 without tensor scale give 0, and so does compressed-tensors for the same float8 and
# NVFP4 schemes. (For float8 it is reported upstream; the newest release has it still.)
#
# Output seen:
#   Float8WeightOnlyConfig: NaN with one zero row, with all zero: [[1], 'all']
#   NVFP4WeightOnlyConfig: NaN with one zero row, with all zero: [[], 'all']
#   NVFP4WeightOnlyConfig without tensor scale: NaN with one zero row, with all zero: [[], []]
#   Int8WeightOnlyConfig: NaN with one zero row, with all zero: [[], []]
#   IntxWeightOnlyConfig, 4 bits: NaN with one zero row, with all zero: [[], []]
#   Float8WeightOnlyConfig: NaN with one weight of 1e-6 left in every row: []
#   NVFP4WeightOnlyConfig: NaN with one weight of 1e-6 left in every row: []
#   MXTensor float8: largest of an all-zero tensor: 0.0
#   MXTensor float4: largest of an all-zero tensor: 0.0
#   two layers, one zero row in the first, float8: share of outputs that are NaN: 1.0
#   compressed-tensors FP8_DYNAMIC: largest of an all-zero tensor: 0.0
#   compressed-tensors NVFP4A16: largest of an all-zero tensor: 0.0
#
# Why it matters: zero rows are what pruning, ternary training and padded vocabularies make, and zero layers
# are how residual branches and adapters (LoRA) begin. The float network is fine, the quantized one is NaN
# throughout.
#
# What to do: look for rows without a weight before quantizing and give each one weight of 1e-6, or leave
# the layer out with the filter function of quantize_. For NVFP4, switching the tensor scale off is no way
# out: it turns small weights to zeros (nvfp4-tensor-scales.sh).
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torchao==0.18.0 torch==2.13.0 compressed-tensors==0.20.1 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torchao torch compressed-tensors numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import torch
from compressed_tensors.quantization import preset_name_to_scheme
from compressed_tensors.quantization.lifecycle.forward import fake_quantize
from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam
from torch import nn
from torchao.prototype.mx_formats import NVFP4WeightOnlyConfig
from torchao.prototype.mx_formats.mx_tensor import MXTensor
from torchao.quantization import (
    Float8WeightOnlyConfig,
    Int8WeightOnlyConfig,
    IntxWeightOnlyConfig,
    quantize_,
)

torch.manual_seed(0)
x = torch.randn(4, 64).bfloat16()


def nan_outputs(config, rows, rest=0.0):
    """Which outputs of a layer are NaN for all inputs, once these rows are zero and it is quantized."""
    layer = nn.Linear(64, 32).bfloat16()
    with torch.no_grad():
        layer.weight[rows] = 0
        layer.weight[rows, 0] = rest
        assert layer(x).isfinite().all()
        quantize_(layer, config)
        found = layer(x).isnan().all(0).nonzero().flatten().tolist()
    return "all" if len(found) == 32 else found


for name, config, wanted in (
    ("Float8WeightOnlyConfig", Float8WeightOnlyConfig(), [[1], "all"]),
    ("NVFP4WeightOnlyConfig", NVFP4WeightOnlyConfig(), [[], "all"]),
    (
        "NVFP4WeightOnlyConfig without tensor scale",
        NVFP4WeightOnlyConfig(use_dynamic_per_tensor_scale=False),
        [[], []],
    ),
    ("Int8WeightOnlyConfig", Int8WeightOnlyConfig(), [[], []]),
    ("IntxWeightOnlyConfig, 4 bits", IntxWeightOnlyConfig(weight_dtype=torch.int4), [[], []]),
):
    seen = [nan_outputs(config, [1]), nan_outputs(config, slice(None))]
    expect(f"{name}: NaN with one zero row, with all zero", seen, wanted)
for config in (Float8WeightOnlyConfig(), NVFP4WeightOnlyConfig()):
    name = type(config).__name__
    seen = nan_outputs(config, slice(None), rest=1e-6)
    expect(f"{name}: NaN with one weight of 1e-6 left in every row", seen, [])
for name, kind in (("float8", torch.float8_e4m3fn), ("float4", torch.float4_e2m1fn_x2)):
    back = MXTensor.to_mx(torch.zeros(32, 64), kind, 32).dequantize(torch.float32)
    expect(f"MXTensor {name}: largest of an all-zero tensor", float(back.abs().max()), 0.0)
network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4)).bfloat16()
with torch.no_grad():
    network[0].weight[1] = 0
    quantize_(network, Float8WeightOnlyConfig())
    share = float(network(x).isnan().float().mean())
expect("two layers, one zero row in the first, float8: share of outputs that are NaN", share, 1.0)
zeros = torch.zeros(32, 64)
for name in ("FP8_DYNAMIC", "NVFP4A16"):
    weights = preset_name_to_scheme(name, ["Linear"]).weights
    blocks = zeros.reshape(32, -1, weights.group_size or 64)
    extra = {}
    if name == "NVFP4A16":
        extra["global_scale"] = generate_gparam(zeros.min(), zeros.max())
    scale, zero_point = calculate_qparams(blocks.amin(-1), blocks.amax(-1), weights, **extra)
    back = fake_quantize(zeros, scale, zero_point, weights, **extra)
    expect(f"compressed-tensors {name}: largest of an all-zero tensor", float(back.abs().max()), 0.0)
PYTHON
