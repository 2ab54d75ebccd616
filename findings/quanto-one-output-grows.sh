#!/usr/bin/env bash
# optimum-quanto: a 4-bit layer of one output is not rounded, and takes more than twice its float size
#
# Versions: optimum-quanto 0.2.7, torch 2.13.0 (CPU)
#
# Behaviour: below 8 bits a weight has a scale and a shift for each row, or for each group of 128 where
# groups fit. A linear layer with a single output and too few inputs for groups gets a scale and a shift
# for each of its weights instead. Every weight then comes back exactly as it was, and with its 4 bits
# the layer keeps two floats: quantize and freeze say nothing. The same layer with two outputs has two
# scales and is rounded.
#
# Output seen:
#   200 inputs, outputs 1 and 2, scales: [200, 2]
#   200 inputs, outputs 1 and 2, weights as they were: [True, False]
#   200 inputs, outputs 1 and 2, bytes beside those of float32: [2.26, 0.14]
#   384 inputs, outputs 1 and 2, scales: [3, 6]
#
# Why it matters: regression and value heads, reward models and probes have one output; what is counted
# as a 4-bit layer is none, and is larger than before.
#
# What to do: quantize such a layer to 8 bits, where it has one scale, or leave it out with exclude=.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip; where there is
# a C++ compiler, the package first compiles an extension, some two minutes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    optimum-quanto==0.2.7 torch==2.13.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'optimum-quanto torch numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import torch
from optimum.quanto import freeze, qint4, quantize


def layer(inputs, outputs):
    """The number of scales, whether all weights are as before, and bytes beside those of float32."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(inputs, outputs, bias=False))
    before = network[0].weight.detach().clone()
    quantize(network, weights=qint4)
    freeze(network)
    weight = network[0].weight
    kept = sum(t.numel() * t.element_size() for t in network.state_dict().values() if torch.is_tensor(t))
    same = bool(torch.equal(weight.dequantize(), before))
    return weight._scale.numel(), same, round(kept / (4 * before.numel()), 2)


scales, same, size = (list(column) for column in zip(layer(200, 1), layer(200, 2)))
expect("200 inputs, outputs 1 and 2, scales", scales, [200, 2])
expect("200 inputs, outputs 1 and 2, weights as they were", same, [True, False])
expect("200 inputs, outputs 1 and 2, bytes beside those of float32", size, [2.26, 0.14])
expect("384 inputs, outputs 1 and 2, scales", [layer(384, 1)[0], layer(384, 2)[0]], [3, 6])
PYTHON
