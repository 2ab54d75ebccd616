#!/usr/bin/env bash
# gguf: the 8-bit format erases a block of small weights that the 4-bit format keeps
#
# Versions: gguf 0.19.0, numpy 2.4.6
#
# Behaviour: Q8_0 stores its scale max|w|/127 as float16, Q4_0 stores max|w|/8. Below max|w| =
# 3.8e-6 the Q8_0 scale is under half of the smallest float16 and becomes 0: every weight of the
# block of 32 is 0 afterwards. Q4_0, TQ2_0 and plain F16 still hold the same block. Just above that
# the scale is rounded up to the smallest float16 number, and the weights come back up to twice as
# large.
#
# Output seen:
#   weights {-1, 0, 1} * 1e-6, worst error in units of 1e-6
#   Q8_0  1.000 (all weights 0)
#   Q4_0  0.165
#   TQ2_0 0.013
#   F16   0.013
#   and at 5e-6: Q8_0 0.51, Q4_0 0.14
#
# Why it matters: whoever picks 8 bits "to be safe" for a layer or a channel that training has
# nearly switched off loses it altogether, silently.
#
# What to do: look at the smallest block maximum before Q8_0; scale such a tensor up and its
# neighbour down, or keep it in F16 or F32.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    gguf==0.19.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'gguf numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

signs = np.random.default_rng(0).integers(-1, 2, (4, 256)).astype(np.float32)


def error(kind, size):
    weights = signs * np.float32(size)
    back = dequantize(quantize(weights, kind), kind).astype(np.float32)
    return float(np.abs(back - weights).max() / size), bool((back == 0).all())


for size in (1e-6, 5e-6, 1e-3):
    print("weights {-1, 0, 1} times", size)
    seen = {kind.name: error(kind, size) for kind in (Kind.Q8_0, Kind.Q4_0, Kind.TQ2_0, Kind.F16)}
    for name, (worst, _) in seen.items():
        print(f"  {name}: worst error {worst:.3f}")
    if size == 1e-6:
        expect("  Q8_0 is all zero", seen["Q8_0"][1], True)
    worst = {name: pair[0] for name, pair in seen.items()}
    expect("  Q8_0 errs more than Q4_0", worst["Q8_0"] > worst["Q4_0"], size < 1e-3)
PYTHON
