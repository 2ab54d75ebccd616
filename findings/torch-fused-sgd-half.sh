#!/usr/bin/env bash
# PyTorch: SGD(fused=True) on the CPU leaves bfloat16 and float16 weights where they are
#
# Versions: torch 2.13.0 (CPU)
#
# Behaviour: torch.optim.SGD with fused=True moves float32 weights like the plain form. On bfloat16
# or float16 weights the step is computed and thrown away, except for the last (size modulo 16)
# elements. Nothing is reported. Momentum and weight decay make no difference.
#
# Output seen:
#   bfloat16 plain: 70 of 70 weights moved
#   bfloat16 fused {}: 6 of 70 weights moved
#   bfloat16 fused {'momentum': 0.9}: 6 of 70 weights moved
#   bfloat16 fused {'weight_decay': 0.1}: 6 of 70 weights moved
#   float16 plain: 70 of 70 weights moved
#   float16 fused {}: 6 of 70 weights moved
#   float16 fused {'momentum': 0.9}: 6 of 70 weights moved
#   float16 fused {'weight_decay': 0.1}: 6 of 70 weights moved
#   float32 plain: 70 of 70 weights moved
#   float32 fused {}: 70 of 70 weights moved
#   float32 fused {'momentum': 0.9}: 70 of 70 weights moved
#   float32 fused {'weight_decay': 0.1}: 70 of 70 weights moved
#
# Why it matters: a half-precision training run with the fused step trains next to nothing, and a
# comparison of optimizers or quantizers made on it measures the initial weights.
#
# What to do: keep float32 weights under fused=True, or leave fused at its default on the CPU;
# compare one step with a hand-made one before a long run.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torch numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import torch


def moved(dtype, fused, **options):
    weight = torch.nn.Parameter(torch.ones(70, dtype=dtype))
    weight.grad = torch.ones(70, dtype=dtype)
    torch.optim.SGD([weight], lr=0.25, fused=fused, **options).step()
    return f"{int((weight != 1).sum())} of 70 weights moved"


for dtype in (torch.bfloat16, torch.float16, torch.float32):
    name = str(dtype).removeprefix("torch.")
    expect(f"{name} plain", moved(dtype, None), "70 of 70 weights moved")
    for options in ({}, {"momentum": 0.9}, {"weight_decay": 0.1}):
        wanted = "70 of 70 weights moved" if dtype == torch.float32 else "6 of 70 weights moved"
        expect(f"{name} fused {options}", moved(dtype, True, **options), wanted)
PYTHON
