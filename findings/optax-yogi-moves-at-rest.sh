#!/usr/bin/env bash
# optax: Yogi moves every weight, zeros included, while all gradients are zero
#
# Versions: optax 0.2.8, jax 0.10.2 (CPU)
#
# Behaviour: Both moments start at initial_accumulator_value = 1e-6, the first moment too. So the
# first steps have a direction although no gradient was ever seen: every weight, whatever its value,
# goes down by the same amount. Adam, AMSGrad, RMSprop and Adafactor leave the weights where they
# are.
#
# Output seen:
#   adam, 100 steps: [0.0, 0.0, 0.0, 0.0]
#   amsgrad, 100 steps: [0.0, 0.0, 0.0, 0.0]
#   rmsprop, 100 steps: [0.0, 0.0, 0.0, 0.0]
#   adafactor, 100 steps: [0.0, 0.0, 0.0, 0.0]
#   yogi, 1 step: [-2.8e-05, -2.8e-05, -2.8e-05, -2.8e-05]
#     the zero weight moves by: -2.8e-05
#   yogi, 100 steps: [-0.00016, -0.00016, -0.00016, -0.00016]
#     further still: True
#   yogi under optax.masked: [0.0, 0.0, 0.0, 0.0]
#
# Why it matters: a frozen or masked layer, a pruned weight or a dead channel does not stay where it
# is: weights that lie on a grid leave it, zeros become small negatives, and sparsity is lost in the
# first step.
#
# What to do: set the update (not only the gradient) of frozen weights to zero: optax.masked around
# the whole rule, or mask after it.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'optax jax jaxlib numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import jax.numpy as jnp
import numpy as np
import optax


def moved(rule, steps):
    weights = jnp.array([1.0, 0.5, 0.0, -1.0], jnp.float32)
    start, state = weights, rule.init(weights)
    for _ in range(steps):
        updates, state = rule.update(jnp.zeros(4), state, weights)
        weights = optax.apply_updates(weights, updates)
    return [float(f"{value:.1e}") for value in np.asarray(weights - start, np.float64)]


for name in ("adam", "amsgrad", "rmsprop", "adafactor"):
    expect(f"{name}, 100 steps", moved(getattr(optax, name)(0.1), 100), [0.0] * 4)
one = moved(optax.yogi(0.1), 1)
print("yogi, 1 step:", one)
expect("  the zero weight moves by", one[2], -2.8e-05)
many = moved(optax.yogi(0.1), 100)
print("yogi, 100 steps:", many)
expect("  further still", many[2] < one[2], True)
expect("yogi under optax.masked", moved(optax.masked(optax.yogi(0.1), False), 100), [0.0] * 4)
PYTHON
