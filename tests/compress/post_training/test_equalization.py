"""Folding, equalization and absorption keep the function, and do what they promise to the ranges."""

import numpy as np
import pytest

from psgd_ref.compress import absorb_biases, equalize, fold_batch_norms, reestimate_batch_norm
from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.post_training.equalization import equalizing_scale, input_range, output_range
from psgd_ref.nn import BatchNorm, Conv2d, Model, Sequential
from tests.compress.networks import trained_like

NORMED = ["convnet", "vgg", "resnet"]


def logits(model, images):
    return model.forward(images)


def test_worked_scales():
    s = equalizing_scale(np.array([8.0, 2.0]), np.array([0.5, 2.0]))
    assert np.array_equal(s, [4, 1])
    assert np.array_equal(equalizing_scale(np.array([0.0, 3.0]), np.array([1.0, 0.0])), [1, 1])


@pytest.mark.parametrize("name", [*NORMED, "mlp"])
def test_equalization_keeps_the_function_and_evens_out_the_ranges(name):
    model, images = trained_like(name)
    folded = fold_batch_norms(model)
    before = logits(folded, images)
    pairs = [(each.previous, each) for each in weight_layers(folded) if each.previous is not None]
    assert any(np.abs(np.log(output_range(a) / input_range(b))).max() > 0.1 for a, b in pairs)
    equalize(folded)
    assert np.allclose(logits(folded, images), before, atol=5e-5)
    for first, second in [
        (each.previous, each) for each in weight_layers(folded) if each.previous is not None
    ]:
        assert np.allclose(output_range(first), input_range(second), rtol=3e-3)


def test_equalized_moments_go_along():
    folded = fold_batch_norms(trained_like("convnet")[0])
    equalize(folded)
    x = trained_like("convnet")[1]
    again = folded.copy()
    reestimate_batch_norm(again, x)
    fresh, _ = trained_like("convnet")
    reestimate_batch_norm(fresh, x)
    assert np.allclose(logits(again, x), logits(fresh, x), atol=2e-4)


def high_means():
    """Two 1×1 convolutions with batch norms between them whose means lie high above zero."""
    norm, second = BatchNorm(4, relu=True), BatchNorm(3, relu=True)
    net = Sequential({"conv1": Conv2d(2, 4, 1), "bn1": norm, "conv2": Conv2d(4, 3, 1), "bn2": second})
    model = Model(net, dtype=np.float64)
    norm.weight.value[...], norm.bias.value[...] = [0.5, -0.5, 1.0, 1.0], [9.0, 9.0, 1.0, -9.0]
    x = np.random.default_rng(0).uniform(-1, 1, (20, 5, 5, 2))
    for _ in range(60):
        model.forward(x, training=True)
    return fold_batch_norms(model), x


def test_absorption_is_exact_where_the_relu_never_acts():
    model, x = high_means()
    before, bias = model.forward(x), model.segment("conv1.bias").view(model.w).copy()
    absorb_biases(model)
    c = bias - model.segment("conv1.bias").view(model.w)
    assert np.allclose(c, [9 - 1.5, 9 - 1.5, 0, 0], atol=1e-5)
    assert np.allclose(model.forward(x), before, atol=1e-5)


@pytest.mark.parametrize("name", NORMED)
def test_absorption_never_absorbs_below_three_deviations(name):
    folded = fold_batch_norms(trained_like(name)[0])
    absorb_biases(folded)
    for each in weight_layers(folded):
        first = each.previous
        if first is not None and first.norm is not None:
            assert (first.norm.bias.value <= 3 * first.norm.weight.value + 1e-9).all()
