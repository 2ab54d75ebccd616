"""Which layers follow which, and which batch norm belongs to which layer."""

import numpy as np
import pytest

from psgd_ref.compress.graph import weight_layers
from psgd_ref.nn import BatchNorm, Conv2d, Linear, MaxPool2d, Model, ReLU, Residual, Sequential
from tests.compress.networks import trained_like


@pytest.mark.parametrize(("name", "count"), [("convnet", 3), ("vgg", 8), ("resnet", 3), ("mlp", 2)])
def test_pairs_are_those_without_a_branch_between(name, count):
    pairs = [each for each in weight_layers(trained_like(name)[0]) if each.previous is not None]
    assert len(pairs) == count
    if name == "resnet":
        assert all(each.name.endswith("conv2") and each.previous.name.endswith("conv1") for each in pairs)


@pytest.mark.parametrize("name", ["convnet", "vgg", "resnet", "mlp"])
def test_every_weight_has_one_link_in_forward_order(name):
    model = trained_like(name)[0]
    found = weight_layers(model)
    weights = [part.name for part in model.segments if part.role == "weight"]
    assert sorted(f"{each.name}.weight" for each in found) == sorted(weights)
    normed = [each.name for each in found if each.norm is not None]
    assert normed == ([] if name == "mlp" else [each.name for each in found[:-1]])
    assert found[-1].norm is None


def test_neighbours_of_a_residual_block():
    inner, outer, side = BatchNorm(2, relu=True), BatchNorm(2, relu=True), BatchNorm(2)
    body = {"conv1": Conv2d(2, 2, 1), "bn1": inner, "conv2": Conv2d(2, 2, 1)}
    shortcut = {"0": Conv2d(2, 2, 1), "1": side}
    net = Sequential(
        {"stem": Conv2d(1, 2, 1), "block": Residual(body, ("bn2", outer), shortcut), "fc": Conv2d(2, 1, 1)}
    )
    found = {each.name: each for each in weight_layers(Model(net, dtype=np.float64))}
    assert list(found) == ["stem", "block.conv1", "block.conv2", "block.downsample.0", "fc"]
    norms = {name: each.norm for name, each in found.items() if each.norm is not None}
    assert norms == {"block.conv1": inner, "block.conv2": outer, "block.downsample.0": side}
    # What enters the block goes two ways, what leaves it comes from two: no pair may be scaled there.
    pairs = {name: each.previous.name for name, each in found.items() if each.previous is not None}
    assert pairs == {"block.conv2": "block.conv1"}


def test_what_stands_between_two_layers():
    net = Sequential(
        {
            "a": Conv2d(1, 2, 1),
            "relu": ReLU(),
            "pool": MaxPool2d(2),
            "b": Conv2d(2, 2, 1),
            "c": Conv2d(2, 2, 1),
            "bn": BatchNorm(2, relu=True),
            "late": BatchNorm(2),
            "d": Linear(2, 1),
        }
    )
    a, b, c, d = weight_layers(Model(net, dtype=np.float64))
    assert (a.previous, b.previous, c.previous) == (None, a, b)
    assert (a.rectified, b.rectified, c.rectified) == (True, False, True)
    # A second batch norm is not homogeneous: behind it the scale of a channel is lost.
    assert d.previous is None
