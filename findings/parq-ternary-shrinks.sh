#!/usr/bin/env bash
# torchao PARQ: quantizing ternary weights again shrinks them by a third each time
#
# Versions: torchao 0.18.0, torch 2.13.0 (CPU)
#
# Behaviour: TernaryUnifQuantizer and LSBQuantizer at 0 bits (their ternary form) fit the level to
# the mean absolute weight, zeros included. Weights that are exactly {-s, 0, s} are no fixed point:
# with half of them zero, s becomes 2/3 s, then 4/9 s, and so on. UnifQuantizer and LSBQuantizer at
# 1 to 4 bits have no level at 0 at all. Only MaxUnifQuantizer keeps a symmetric grid.
#
# Output seen:
#   TernaryUnifQuantizer: largest weight after 1, 2, 3, 4 passes: [0.667, 0.444, 0.296, 0.198]
#   LSBQuantizer: largest weight after 1, 2, 3, 4 passes: [0.55, 0.303, 0.166, 0.092]
#   2 bits, weights [-1.0, 0.0, 1.0]
#     UnifQuantizer: has a level at 0: False
#     UnifQuantizer: keeps the grid: False
#     MaxUnifQuantizer: has a level at 0: True
#     MaxUnifQuantizer: keeps the grid: True
#   3 bits, weights [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
#     UnifQuantizer: has a level at 0: False
#     UnifQuantizer: keeps the grid: False
#     MaxUnifQuantizer: has a level at 0: True
#     MaxUnifQuantizer: keeps the grid: True
#   4 bits, weights [-7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0...
#     UnifQuantizer: has a level at 0: False
#     UnifQuantizer: keeps the grid: False
#     MaxUnifQuantizer: has a level at 0: True
#     MaxUnifQuantizer: keeps the grid: True
#
# Why it matters: loading a quantized checkpoint and going on with PARQ, or calling quantize once
# more to be sure, changes the network; a pruned weight comes back as half a step.
#
# What to do: use MaxUnifQuantizer for weights that lie on a symmetric grid already; never apply the
# other quantizers twice.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torchao==0.18.0 torch==2.13.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torchao torch numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import torch
from torchao.prototype.parq import (
    LSBQuantizer,
    MaxUnifQuantizer,
    TernaryUnifQuantizer,
    UnifQuantizer,
)

ternary = torch.tensor([1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0] * 64)
for name, quantizer, wanted in (
    ("TernaryUnifQuantizer", TernaryUnifQuantizer(), [0.667, 0.444, 0.296, 0.198]),
    ("LSBQuantizer", LSBQuantizer(), [0.55, 0.303, 0.166, 0.092]),
):
    weights, sizes = ternary, []
    for _ in range(4):
        weights, _ = quantizer.quantize(weights.clone(), 0)
        sizes.append(round(float(weights.abs().max()), 3))
    expect(f"{name}: largest weight after 1, 2, 3, 4 passes", sizes, wanted)
for bits in (2, 3, 4):
    half = 2 ** (bits - 1) - 1
    weights = torch.arange(-half, half + 1).repeat(32).float()
    print(f"{bits} bits, weights", weights.unique().tolist())
    for name, quantizer, zero, keeps in (
        ("UnifQuantizer", UnifQuantizer(), False, False),
        ("MaxUnifQuantizer", MaxUnifQuantizer(), True, True),
    ):
        back, levels = quantizer.quantize(weights.clone(), bits)
        expect(f"  {name}: has a level at 0", bool((levels == 0).any()), zero)
        expect(f"  {name}: keeps the grid", bool((back - weights).abs().max() < 1e-6), keeps)
PYTHON
