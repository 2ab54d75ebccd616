#!/usr/bin/env bash
# pytorch_optimizer: the first step of Lamb is ten times what its trust ratio says
#
# Versions: pytorch-optimizer 4.1.0, torch 2.13.0 (CPU)
#
# Behaviour: LAMB makes every step as long as the rate times the norm of the weights. Here the bias
# correction of the first moment, 1/(1 - beta1^t), is applied after that and not before, where the
# trust ratio would take it out again: at the defaults the first step is ten times as long, the second
# five times, the fifth more than twice; after some sixty it is gone. With adam_debias=True every step
# has the length that it should.
#
# Output seen:
#   Lamb, defaults: length in units of rate times norm, steps 1, 2, 5, 60: [10.0, 5.26, 2.44, 1.0]
#   Lamb, adam_debias=True: length in units of rate times norm, steps 1, 2, 5, 60: [1.0, 1.0, 1.0, 1.0]
#
# Why it matters: at a rate of 0.1 the first step is as long as the weights themselves, so what a
# network was initialised to, or trained to before, is gone; rates do not carry over from other
# implementations.
#
# What to do: adam_debias=True.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    pytorch_optimizer==4.1.0 torch==2.13.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'pytorch-optimizer torch numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import torch
from pytorch_optimizer import Lamb

RATE = 1e-3


def lengths(**options):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.rand(8, 8) - 0.5)
    optimizer, found = Lamb([weight], lr=RATE, **options), []
    for _ in range(60):
        before = weight.detach().clone()
        weight.grad = 0.1 * torch.randn(8, 8)
        optimizer.step()
        found.append(float((weight.detach() - before).norm() / before.norm() / RATE))
    return [round(found[step - 1], 2) for step in (1, 2, 5, 60)]


words = "length in units of rate times norm, steps 1, 2, 5, 60"
expect(f"Lamb, defaults: {words}", lengths(), [10.0, 5.26, 2.44, 1.0])
expect(f"Lamb, adam_debias=True: {words}", lengths(adam_debias=True), [1.0, 1.0, 1.0, 1.0])
PYTHON
