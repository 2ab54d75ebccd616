#!/usr/bin/env bash
# torch-pruning: behind a channel shuffle, a channels-last flatten or a join of flattened maps the wrong weights go
#
# Versions: torch-pruning 1.6.1, torch 2.13.0 (CPU)
#
# Behaviour: removing output channels of a layer also removes the inputs of the next layer that read them.
# The positions are followed through flatten and through concatenation, one at a time, but not through
# everything that reorders channels, and nothing is said where they are not. Channels 1 and 6 here put out
# nothing but zero, so taking them away must not change the network. After torch.channel_shuffle, or the
# view, transpose, reshape that ShuffleNet does it with, the next layer loses inputs 1 and 6, which read other
# channels. Before a linear layer on an NHWC-flattened map (permute, flatten) it loses a run of positions as
# if the map were NCHW. Where two maps are flattened and then concatenated, it loses twice as many columns,
# other ones, and the first map's layer is pruned along, in channels nobody named. All shapes fit, all networks
# run.
#
# Output seen (largest change of the output, relative to the largest output; 0 would be right):
#   convolution, convolution: below 0.00001: True
#   flatten, linear: below 0.00001: True
#   concatenate, convolution: below 0.00001: True
#   channel shuffle, convolution: 1.27
#   shuffle by view and transpose, convolution: 1.32
#   permute to NHWC, flatten, linear: 2.04
#   flatten two maps, concatenate, linear: 0.73
#   inputs that the layer behind the shuffle loses: [1, 6]
#   inputs that read the two channels: [2, 5]
#   flatten two maps, concatenate: layers that lose channels: ['first', 'second']
#   flatten two maps, concatenate: columns lost, where 72 read the two channels: 144
#
# Why it matters: after pruning one usually trains on, and training hides that weights of living channels were
# deleted and those of dead ones kept; the loss of accuracy is put down to pruning. ShuffleNet, networks
# ported from channels-last frameworks and two-branch heads are ordinary.
#
# What to do: prune channels that are zero in a copy of the network and compare outputs before and after; keep
# the layers in front of such a place out of the pruning, or write NHWC-flatten as NCHW-flatten with the columns
# of the linear layer reordered.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch-pruning==1.6.1 torch==2.13.0 numpy==2.4.6

cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'torch-pruning torch numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import torch
import torch_pruning
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
x = torch.randn(2, 3, 6, 6)
dead = [1, 6]


class Network(nn.Module):
    """Two convolutions of the input, joined in some way, and a last layer."""

    def __init__(self, join, last):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(3, 8, 3, padding=1)
        self.join, self.last = join, last

    def forward(self, x):
        return self.last(self.join(self.first(x).relu(), self.second(x).relu()))


def shuffle_by_view(map):
    images, channels, height, width = map.shape
    return map.view(images, 2, channels // 2, height, width).transpose(1, 2).reshape(images, -1, height, width)


def pruned(join, last):
    """Relative change of the output when two dead channels are removed, and the groups' members."""
    network = Network(join, last).eval()
    with torch.no_grad():
        network.second.weight[dead] = 0
        network.second.bias[dead] = 0
    before = network(x)
    graph = torch_pruning.DependencyGraph().build_dependency(network, example_inputs=x)
    group = graph.get_pruning_group(network.second, torch_pruning.prune_conv_out_channels, idxs=dead)
    names = {module: name for name, module in network.named_modules()}
    members = {
        names[dependency.target.module]: sorted(int(index) for index in indices)
        for dependency, indices in group
        if dependency.target.module in names
    }
    group.prune()
    after = network(x)
    return float((after - before).abs().max() / before.abs().max()), members


def convolution(inputs):
    return nn.Conv2d(inputs, 4, 3, padding=1)


def together(a, b):
    return torch.cat([a, b], 1)


for what, join, last in (
    ("convolution, convolution", lambda a, b: b, convolution(8)),
    ("flatten, linear", lambda a, b: b.flatten(1), nn.Linear(8 * 36, 4)),
    ("concatenate, convolution", together, convolution(16)),
):
    expect(f"{what}: below 0.00001", pruned(join, last)[0] < 1e-5, True)
members = {}
for what, join, last in (
    ("channel shuffle, convolution", lambda a, b: torch.channel_shuffle(b, 2), convolution(8)),
    ("shuffle by view and transpose, convolution", lambda a, b: shuffle_by_view(b), convolution(8)),
    ("permute to NHWC, flatten, linear", lambda a, b: b.permute(0, 2, 3, 1).flatten(1), nn.Linear(8 * 36, 4)),
    (
        "flatten two maps, concatenate, linear",
        lambda a, b: together(a.flatten(1), b.flatten(1)),
        nn.Linear(2 * 8 * 36, 4),
    ),
):
    change, members[what] = pruned(join, last)
    print(f"{what}: {change:.2f}")
    expect("  above 0.1", change > 0.1, True)
shuffled = torch.channel_shuffle(torch.arange(8.0).reshape(1, 8, 1, 1), 2).flatten().tolist()
expect("inputs that the layer behind the shuffle loses", members["channel shuffle, convolution"]["last"], dead)
expect("inputs that read the two channels", [i for i, channel in enumerate(shuffled) if channel in dead], [2, 5])
seen = sorted(set(members["flatten two maps, concatenate, linear"]) - {"last"})
expect("flatten two maps, concatenate: layers that lose channels", seen, ["first", "second"])
lost = members["flatten two maps, concatenate, linear"]["last"]
expect("flatten two maps, concatenate: columns lost, where 72 read the two channels", len(set(lost)), 144)
PYTHON
