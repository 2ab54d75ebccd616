#!/usr/bin/env bash
# int4 arrays: the mean of four sevens is -1 in NumPy, and clip(-100, 100) makes every seven 4 in JAX
#
# Versions: ml_dtypes 0.6.0 with numpy 2.4.6, jax 0.10.2
#
# Behaviour: int4 codes are taken for ordinary integers, and no operation warns. NumPy with
# ml_dtypes: mean stays int4 and wraps; a @ a comes out as int8 and wraps there; tensordot of the
# same two vectors as int4; negation and abs are int8. JAX: jnp.clip casts its bounds to int4 first
# (100 becomes 4, -100 too), so all values become 4; jnp.dot accumulates in int4 and wraps; jnp.mean
# is right, jnp.convolve is float32, and jnp.sum raises.
#
# Output seen:
#   NumPy mean of four sevens: -1 (int4)
#   NumPy a @ a: -120 (int8)
#   NumPy tensordot(a, a, 1): -8 (int4)
#   NumPy -a: -7 (int8)
#   JAX clip(b, -100, 100): 4 (int4)
#   JAX clip(b, -8, 7): 7 (int4)
#   JAX dot(b, b): -8 (int4)
#   JAX mean(b): 7.0 (float32)
#   JAX convolve(b, b): 49.0 (float32)
#   JAX sum(b): Invalid integer data type 'V'.
#   JAX sum(b) raises: True
#
# Why it matters: statistics of codes (histograms, means, checks like "no code beyond ±7") on int4
# arrays are wrong in silence, in each library by another rule.
#
# What to do: cast int4 to int32 (or float32) before any arithmetic; keep int4 for storage.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    ml_dtypes==0.6.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'ml_dtypes jax jaxlib numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import jax.numpy as jnp
import ml_dtypes
import numpy as np


def shown(value):
    return f"{np.asarray(value).ravel()[0]} ({value.dtype})"


a = np.full(8, 7, ml_dtypes.int4)
b = jnp.full(8, 7, jnp.int4)
expect("NumPy mean of four sevens", shown(a[:4].mean()), "-1 (int4)")
expect("NumPy a @ a", shown(a @ a), "-120 (int8)")
expect("NumPy tensordot(a, a, 1)", shown(np.tensordot(a, a, 1)), "-8 (int4)")
expect("NumPy -a", shown(-a), "-7 (int8)")
expect("JAX clip(b, -100, 100)", shown(jnp.clip(b, -100, 100)), "4 (int4)")
expect("JAX clip(b, -8, 7)", shown(jnp.clip(b, -8, 7)), "7 (int4)")
expect("JAX dot(b, b)", shown(jnp.dot(b, b)), "-8 (int4)")
expect("JAX mean(b)", shown(jnp.mean(b)), "7.0 (float32)")
expect("JAX convolve(b, b)", shown(jnp.convolve(b, b)), "49.0 (float32)")
try:
    jnp.sum(b)
    raised = False
except ValueError as error:
    print("JAX sum(b):", error)
    raised = True
expect("JAX sum(b) raises", raised, True)
PYTHON
