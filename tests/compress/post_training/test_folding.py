"""Folding keeps the function, the given model, and what the batch norms remember."""

import numpy as np
import pytest

from psgd_ref.compress import fold_batch_norms, reestimate_batch_norm
from psgd_ref.compress.graph import weight_layers
from psgd_ref.nn import BatchNorm, Conv2d, Linear, Model, ReLU, Sequential
from psgd_ref.nn.parameters import named_layers
from tests.compress.networks import trained_like

NORMED = ["convnet", "vgg", "resnet"]


@pytest.mark.parametrize("name", NORMED)
def test_folding_keeps_the_function_and_the_given_model(name):
    model, images = trained_like(name)
    before, w = model.forward(images), model.w.copy()
    folded = fold_batch_norms(model)
    assert np.array_equal(model.w, w)
    assert np.allclose(folded.forward(images), before, atol=2e-5)
    for each in weight_layers(folded):
        if each.norm is not None:
            assert each.layer.bias.role == "norm"
            assert np.allclose(each.norm.weight.value**2, each.norm.running_var, rtol=1e-6)


@pytest.mark.parametrize("name", NORMED)
def test_folded_batch_norms_are_identities(name):
    folded = fold_batch_norms(trained_like(name)[0])
    for _, layer in named_layers(folded.net):
        if isinstance(layer, BatchNorm):
            x = np.random.default_rng(0).normal(size=(5, layer.weight.shape[0]))
            y, _ = BatchNorm.forward(layer, x, False)
            assert np.allclose(y, np.maximum(x, 0) if layer.relu else x, atol=1e-5)


@pytest.mark.parametrize("name", NORMED)
def test_reestimation_after_folding_is_reestimation_before(name):
    model, images = trained_like(name)
    folded = fold_batch_norms(model)
    reestimate_batch_norm(model, images)
    reestimate_batch_norm(folded, images)
    assert np.allclose(folded.forward(images), model.forward(images), atol=2e-4)


def test_a_batch_norm_behind_a_relu_is_not_folded():
    net = Sequential({"conv": Conv2d(1, 2, 1), "relu": ReLU(), "bn": BatchNorm(2)})
    model = Model(net, dtype=np.float64)
    assert weight_layers(model)[0].norm is None
    assert weight_layers(fold_batch_norms(model))[0].layer.bias is None


def test_folded_weights_are_the_formula():
    rng = np.random.default_rng(0)
    norm = BatchNorm(4)
    model = Model(Sequential({"fc": Linear(3, 4), "bn": norm}), dtype=np.float64)
    model.w[...] = rng.normal(size=model.w.size)
    norm.running_mean[...], norm.running_var[...] = rng.normal(size=4), rng.uniform(0.5, 2, 4)
    folded = fold_batch_norms(model)
    w, b = (model.segment(f"fc.{name}").view(model.w) for name in ("weight", "bias"))
    k = norm.weight.value / np.sqrt(norm.running_var + norm.eps)
    assert np.allclose(folded.segment("fc.weight").view(folded.w), w * k, rtol=1e-6)
    expected = (b - norm.running_mean) * k + norm.bias.value
    assert np.allclose(folded.segment("fc.bias").view(folded.w), expected, rtol=1e-6)
