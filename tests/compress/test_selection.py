"""Which parameters are quantized, and to how many bits."""

import numpy as np
import pytest

from psgd_ref.compress import ClipGrid, MinMaxGrid, as_grid, quantize
from psgd_ref.compress.selection import assign, outer_layers
from psgd_ref.core import UniformGrid, Zero
from psgd_ref.models import convnet, mlp, resnet, vgg
from psgd_ref.training import PSGD


def test_only_weights_are_quantized():
    model = convnet(seed=0)
    rng = np.random.default_rng(0)
    model.w[...] += rng.normal(size=model.w.size).astype(np.float32) / 10
    before = model.w.copy()
    copied = quantize(model, bits=4)
    assert np.array_equal(model.w, before)
    for segment in model.segments:
        changed = not np.array_equal(segment.view(model.w), segment.view(copied.w))
        assert changed == (segment.role == "weight") == (segment.name in copied.quantized)
        if segment.name in copied.quantized:
            assert np.array_equal(copied.quantized[segment.name].values, segment.view(copied.w))


@pytest.mark.parametrize(("bits", "outer"), [(2, 8), (3, 8), (4, 4), (8, 8)])
def test_first_and_last_layer_keep_eight_bits_below_four(bits, outer):
    tensors = quantize(resnet(8), bits).quantized
    widths = {name: tensor.bits for name, tensor in tensors.items()}
    assert widths.pop("conv1.weight") == widths.pop("fc.weight") == outer
    assert set(widths.values()) == {bits}


@pytest.mark.parametrize("targets", [UniformGrid(0.1, 1), Zero()])
def test_fixed_targets_are_assigned_to_every_weight(targets):
    pairs = assign(mlp(), as_grid(targets))
    assert [segment.name for segment, _ in pairs] == ["fc1.weight", "fc2.weight", "fc3.weight"]


@pytest.mark.parametrize("name", ["fc1.wieght", "fc1.bias"])
def test_a_rule_for_a_weight_that_is_not_there_is_refused(name):
    model, optimizer = mlp((4, 3, 2)), PSGD(0.1, grid={name: MinMaxGrid(2)})
    with pytest.raises(ValueError, match=f"unknown weights in grid: {name}; accepted are fc1.weight,"):
        optimizer.update(model, optimizer.init(model))


def test_rules_by_name_are_taken_as_they_are():
    rules = {"fc2.weight": MinMaxGrid(2), "fc1.weight": ClipGrid(3, clip=0.5)}
    pairs = assign(mlp(), rules)
    assert [(part.name, rule) for part, rule in pairs] == [
        ("fc1.weight", ClipGrid(3, clip=0.5)),
        ("fc2.weight", MinMaxGrid(2)),
    ]


@pytest.mark.parametrize(
    ("model", "outer"),
    [(mlp(), {"fc1", "fc3"}), (resnet(8), {"conv1", "fc"}), (convnet(), {"conv1", "fc"})],
)
def test_outer_layers(model, outer):
    assert outer_layers(model) == outer
    widths = {part.name: rule.bits for part, rule in assign(model, MinMaxGrid(2, per_channel=True))}
    assert all((bits == 8) == (name.split(".")[0] in outer) for name, bits in widths.items())
    assert all(rule.per_channel for _, rule in assign(model, MinMaxGrid(2, per_channel=True)))


def test_one_layer_is_both_the_first_and_the_last():
    assert [rule.bits for _, rule in assign(mlp((4, 2)), MinMaxGrid(3))] == [8]
    names = {part.name.rpartition(".")[0] for part, rule in assign(vgg(11), MinMaxGrid(3)) if rule.bits == 8}
    assert len(names) == 2
