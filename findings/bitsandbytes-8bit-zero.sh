#!/usr/bin/env bash
# bitsandbytes: in the 8-bit blockwise format zero does not come back as zero
#
# Versions: bitsandbytes 0.50.2 on the CPU, torch 2.13.0 (CPU)
#
# Behaviour: The table of the 8-bit dynamic format holds an exact 0. On the CPU quantize_blockwise
# nevertheless gives weight 0 the code of a positive level four further up, and it comes back as
# 2.1e-5 times the largest weight of the block (or of the whole tensor's one block). A block that is
# all zero stays zero. The 4-bit formats keep zero.
#
# Output seen:
#   64 weights, one of them 3, the others 0
#     the table holds 0: True
#     different values of the zeros: 1
#     zero comes back, over the maximum: 2.12e-05
#     levels above the exact zero: 4
#   256 weights, one of them 3, the others 0
#     the table holds 0: True
#     different values of the zeros: 1
#     zero comes back, over the maximum: 2.12e-05
#     levels above the exact zero: 4
#   4096 weights, one of them 3, the others 0
#     the table holds 0: True
#     different values of the zeros: 1
#     zero comes back, over the maximum: 2.12e-05
#     levels above the exact zero: 4
#   all-zero block stays zero: True
#   nf4 keeps zero: True
#   fp4 keeps zero: True
#
# Why it matters: pruned or exactly ternary weights are no longer sparse, and masks computed as
# weight != 0 after loading are all True; with optimizer states kept in this format, moments that
# are zero get a positive drift.
#
# What to do: store the mask beside the weights, or set values below 1e-4 of the block maximum to 0
# after dequantizing.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    bitsandbytes==0.50.2 torch==2.13.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'bitsandbytes torch numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import bitsandbytes.functional as functional
import torch

for size in (64, 256, 4096):
    weights = torch.zeros(size)
    weights[0] = 3
    codes, state = functional.quantize_blockwise(weights)
    back = functional.dequantize_blockwise(codes, state)
    table = state.code.sort().values
    exact, used = int((table == 0).nonzero()), int((table == state.code[codes[1].long()]).nonzero())
    print(f"{size} weights, one of them 3, the others 0")
    expect("  the table holds 0", bool((table == 0).any()), True)
    expect("  different values of the zeros", len(back[1:].unique()), 1)
    expect("  zero comes back, over the maximum", f"{float(back[1]) / 3:.2e}", "2.12e-05")
    expect("  levels above the exact zero", used - exact, 4)
zeros = functional.dequantize_blockwise(*functional.quantize_blockwise(torch.zeros(64)))
expect("all-zero block stays zero", bool((zeros == 0).all()), True)
weights = torch.zeros(64)
weights[0] = 3
for kind in ("nf4", "fp4"):
    back = functional.dequantize_4bit(*functional.quantize_4bit(weights, quant_type=kind)).flatten()
    expect(f"{kind} keeps zero", bool((back[1:] == 0).all()), True)
PYTHON
