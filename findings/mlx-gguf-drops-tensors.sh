#!/usr/bin/env bash
# MLX: loading a gguf file stops in silence at the first tensor of a type it does not know
#
# Versions: mlx 0.32.4 (CPU), gguf 0.19.0
#
# Behaviour: mx.load of a gguf file ends at the first TQ1_0, TQ2_0 or MXFP4 tensor: that one and all
# that follow, of whatever type, are missing from the dictionary, and no error or warning says so.
# (A Q5_0 tensor raises.) bfloat16 tensors come back as float16: what lies beyond 65504 is infinite,
# what lies below 6e-8 is zero.
#
# Output seen:
#   F32, F16, F32: ['layer0', 'layer1', 'layer2']
#   F32, TQ1_0, F32, F16: stored: ['layer0', 'layer1', 'layer2', 'layer3']
#     loaded: ['layer0']
#   F32, TQ2_0, F32, F16: stored: ['layer0', 'layer1', 'layer2', 'layer3']
#     loaded: ['layer0']
#   F32, MXFP4, F32, F16: stored: ['layer0', 'layer1', 'layer2', 'layer3']
#     loaded: ['layer0']
#   Q5_0: [load_gguf] gguf_tensor_to_f16 failed
#     raises: True
#   BF16 1.0 as mlx.core.float16: 1.0
#   BF16 1048576.0 as mlx.core.float16: inf
#   BF16 9.313225746154785e-10 as mlx.core.float16: 0.0
#
# Why it matters: ternary weights in gguf are TQ1_0 or TQ2_0. A network loaded with
# update(strict=False) runs on with its initial weights in those layers.
#
# What to do: compare the names with gguf.GGUFReader(file).tensors after loading; convert ternary
# and MXFP4 tensors to F16 or Q8_0, and BF16 to F32, before MLX reads them.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    'mlx[cpu]==0.32.4' gguf==0.19.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'mlx gguf numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import gguf
import mlx.core as mx
import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf.quants import quantize

weights = np.random.default_rng(0).standard_normal((4, 256)).astype(np.float32)


def loaded(*kinds, values=weights):
    writer = gguf.GGUFWriter("weights.gguf", "llama")
    for number, kind in enumerate(kinds):
        writer.add_tensor(f"layer{number}", quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return mx.load("weights.gguf")


names = sorted(loaded(Kind.F32, Kind.F16, Kind.F32))
expect("F32, F16, F32", names, ["layer0", "layer1", "layer2"])
for kind in (Kind.TQ1_0, Kind.TQ2_0, Kind.MXFP4):
    names = sorted(loaded(Kind.F32, kind, Kind.F32, Kind.F16))
    stored = [tensor.name for tensor in gguf.GGUFReader("weights.gguf").tensors]
    expect(f"F32, {kind.name}, F32, F16: stored", stored, [f"layer{n}" for n in range(4)])
    expect("  loaded", names, ["layer0"])
try:
    loaded(Kind.Q5_0)
    raised = False
except RuntimeError as error:
    print("Q5_0:", error)
    raised = True
expect("  raises", raised, True)
for size, wanted in ((1.0, 1.0), (2.0**20, float("inf")), (2.0**-30, 0.0)):
    array = loaded(Kind.BF16, values=np.full((1, 32), size, np.float32))["layer0"]
    expect(f"BF16 {size} as {array.dtype}", float(array[0, 0]), wanted)
PYTHON
