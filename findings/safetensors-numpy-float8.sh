#!/usr/bin/env bash
# safetensors: the NumPy side writes float8 files that it cannot read
#
# Versions: safetensors 0.8.0, ml_dtypes 0.6.0, numpy 2.4.6
#
# Behaviour: safetensors.numpy.save_file accepts float8 arrays (ml_dtypes) and writes a right file.
# safetensors.numpy.load_file of the same file raises AttributeError: module 'numpy' has no
# attribute 'float8_e4m3fn'. bfloat16, equally foreign to NumPy, goes both ways; int4 is refused
# when saving.
#
# Output seen:
#   bfloat16: saved, read back equal
#      module 'numpy' has no attribute 'float8_e4m3fn'
#   float8_e4m3fn: saved, AttributeError when read
#      module 'numpy' has no attribute 'float8_e5m2'
#   float8_e5m2: saved, AttributeError when read
#      module 'numpy' has no attribute 'float8_e8m0fnu'
#   float8_e8m0fnu: saved, AttributeError when read
#   int4: refused when saving (SafetensorError)
#
# Why it matters: a script that only saves passes its test; the person who loads the file months
# later has no way but another framework. One float8 tensor makes the whole file unreadable by
# load_file, its float32 neighbours included.
#
# What to do: store float8 as uint8 (array.view) with the type in the metadata, or read with
# safe_open tensor by tensor and safetensors.torch for these.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    safetensors==0.8.0 ml_dtypes==0.6.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'safetensors ml_dtypes numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import ml_dtypes
import numpy as np
from safetensors.numpy import load_file, save_file


def round_trip(dtype):
    codes = np.array([[1, 0.5, 2]]).astype(dtype)
    try:
        save_file({"codes": codes, "bias": np.ones(2, np.float32)}, "weights.safetensors")
    except Exception as error:
        return f"refused when saving ({type(error).__name__})"
    try:
        back = load_file("weights.safetensors")["codes"]
    except AttributeError as error:
        print("  ", error)
        return "saved, AttributeError when read"
    return f"saved, read back {'equal' if back.tobytes() == codes.tobytes() else 'unequal'}"


expect("bfloat16", round_trip(ml_dtypes.bfloat16), "saved, read back equal")
for name in ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"):
    expect(name, round_trip(getattr(ml_dtypes, name)), "saved, AttributeError when read")
expect("int4", round_trip(ml_dtypes.int4), "refused when saving (SafetensorError)")
PYTHON
