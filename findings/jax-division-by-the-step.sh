#!/usr/bin/env bash
# JAX: dividing an array by the step multiplies by 1/step, and ties round the other way
#
# Versions: jax 0.10.2 (CPU), numpy 2.4.6
#
# Behaviour: For float32 x, x / step with a step that is one number or one per row is computed as x
# * (1 / step) on the CPU, eager as under jit. The quotient is then not the correctly rounded one
# for a fifth of the numbers, and jnp.round of it takes another code than NumPy on ties. Dividing by
# an array of the full shape is exact in eager mode.
#
# Output seen:
#   eager: quotients that differ: 843
#   eager: codes that differ: 224
#   eager: is x * (1 / step): True
#   jit, constant step: quotients that differ: 843
#   jit, constant step: codes that differ: 224
#   jit, constant step: is x * (1 / step): True
#   jit, step as argument: quotients that differ: 843
#   jit, step as argument: codes that differ: 224
#   jit, step as argument: is x * (1 / step): True
#   full-shape divisor, eager: 0
#   step 0.25 is exact: True
#
# Why it matters: weights that lie halfway between two levels (frequent after rounding to a finer
# grid) get other codes in JAX than in NumPy, ONNX or PyTorch; bit-for-bit tests across frameworks
# fail on the CPU.
#
# What to do: compute the codes in NumPy, or use a step that is a power of two (then both ways are
# exact), or allow one step on ties.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'jax jaxlib numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import jax
import jax.numpy as jnp
import numpy as np

step = np.float32(0.3)
x = (np.arange(-2000, 2000) / 2).astype(np.float32) * step
exact = x / step
inverse = x * (np.float32(1) / step)


def differ(quotient):
    return int((np.asarray(quotient) != exact).sum())


def codes_differ(quotient):
    return int((np.rint(np.asarray(quotient)) != np.rint(exact)).sum())


array = jnp.asarray(x)
for name, quotient in (
    ("eager", array / step),
    ("jit, constant step", jax.jit(lambda a: a / step)(array)),
    ("jit, step as argument", jax.jit(lambda a, s: a / s)(array, step)),
):
    expect(f"{name}: quotients that differ", differ(quotient), 843)
    expect(f"{name}: codes that differ", codes_differ(quotient), 224)
    expect(f"{name}: is x * (1 / step)", bool((np.asarray(quotient) == inverse).all()), True)
expect("full-shape divisor, eager", differ(array / jnp.full(x.shape, step)), 0)
power = np.float32(0.25)
same = bool((np.asarray(array / power) == x / power).all())
expect("step 0.25 is exact", same, True)
PYTHON
