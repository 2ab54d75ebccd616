#!/usr/bin/env bash
# optax Prodigy and D-Adaptation: if the first batch has no gradient, all weights are NaN for good
#
# Versions: optax 0.2.8, jax 0.10.2 (CPU), prodigyopt 1.1.2, torch 2.13.0 (CPU)
#
# Behaviour: optax.contrib.prodigy and optax.contrib.dadapt_adamw guess the step length from a quotient of
# sums over all gradients so far. As long as all gradients are exactly zero this is 0 / 0, the guess is NaN,
# and every weight is NaN after the first step, also where usual gradients follow. prodigyopt, the authors'
# package for PyTorch, leaves the weights alone until a gradient comes. A single gradient of 1e-20 is enough
# for optax too, and zero gradients later on do no harm. optax.contrib.cocob, which needs no step length
# either, is well behaved. optax.apply_if_finite does not help: it looks at the gradients, not at the step.
#
# Output seen (weights 1.0, -1.0, 0.5; one step without gradient, then two with):
#   optax.contrib.prodigy: weights that are NaN after one step without gradient and two with: 3
#   optax.contrib.dadapt_adamw: weights that are NaN after one step without gradient and two with: 3
#   optax.contrib.cocob: weights that are NaN after one step without gradient and two with: 0
#   optax.adam: weights that are NaN after one step without gradient and two with: 0
#   optax.contrib.prodigy, all steps with gradient: 0
#   optax.contrib.prodigy, the second step without gradient: 0
#   optax.contrib.prodigy, one gradient of 1e-20 in the first step: 0
#   optax.contrib.prodigy in apply_if_finite: 3
#   prodigyopt: weights that are NaN after one step without gradient and two with: 0
#
# Why it matters: an expert or an embedding with an optimizer of its own may not be used by the first batch, or
# all labels of that batch are masked. The run is lost, and the loss says so only at the next step.
#
# What to do: leave a step out, state included, while optax.global_norm of the gradients is 0.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    optax==0.2.8 jax==0.10.2 prodigyopt==1.1.2 torch==2.13.0 numpy==2.4.6

cd "$folder"
JAX_PLATFORMS=cpu "$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'optax jax prodigyopt torch numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import jax.numpy as jnp
import optax
import prodigyopt
import torch

start = [1.0, -1.0, 0.5]
late = " weights that are NaN after one step without gradient and two with"


def by_optax(optimizer, *sizes):
    """Number of weights that are NaN after steps whose gradients are the weights times these sizes."""
    weights = jnp.array(start)
    state = optimizer.init(weights)
    for size in sizes:
        updates, state = optimizer.update(weights * size, state, weights)
        weights = optax.apply_updates(weights, updates)
    return int(jnp.isnan(weights).sum())


prodigy = optax.contrib.prodigy()
for name, optimizer, wanted in (
    ("optax.contrib.prodigy", prodigy, 3),
    ("optax.contrib.dadapt_adamw", optax.contrib.dadapt_adamw(), 3),
    ("optax.contrib.cocob", optax.contrib.cocob(), 0),
    ("optax.adam", optax.adam(1e-3), 0),
):
    expect(f"{name}:{late}", by_optax(optimizer, 0, 1, 1), wanted)
expect("optax.contrib.prodigy, all steps with gradient", by_optax(prodigy, 1, 1, 1), 0)
expect("optax.contrib.prodigy, the second step without gradient", by_optax(prodigy, 1, 0, 1), 0)
few = jnp.array([0.0, 0.0, 2e-20])
expect("optax.contrib.prodigy, one gradient of 1e-20 in the first step", by_optax(prodigy, few, 1, 1), 0)
guarded = optax.apply_if_finite(prodigy, max_consecutive_errors=5)
expect("optax.contrib.prodigy in apply_if_finite", by_optax(guarded, 0, 1, 1), 3)

weights = torch.nn.Parameter(torch.tensor(start))
optimizer = prodigyopt.Prodigy([weights])
for size in (0, 1, 1):
    weights.grad = weights.detach() * size
    optimizer.step()
expect(f"prodigyopt:{late}", int(weights.isnan().sum()), 0)
PYTHON
