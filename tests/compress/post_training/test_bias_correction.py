"""Bias correction against the mean errors that it removes, and its formula."""

import numpy as np
import pytest

from psgd_ref.compress import correct_biases, fold_batch_norms
from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.post_training.moments import input_signals
from psgd_ref.nn import Linear, Model, ReLU, Sequential
from tests.compress.networks import trained_like, weights_only


def test_measured_correction_removes_the_mean_error_of_a_linear_layer():
    model = Model(Sequential({"fc": Linear(6, 4)}), dtype=np.float64)
    x = np.random.default_rng(0).uniform(0, 1, (200, 6))
    rough = weights_only(model, 2)
    assert np.abs((rough.forward(x) - model.forward(x)).mean(0)).max() > 1e-3
    correct_biases(rough, model, x)
    assert np.allclose(rough.forward(x).mean(0), model.forward(x).mean(0))


@pytest.mark.parametrize("name", ["convnet", "vgg", "resnet"])
def test_analytic_correction_is_the_formula(name):
    model = fold_batch_norms(trained_like(name)[0])
    rough, signals = weights_only(model, 3), input_signals(model)
    before = {each.name: each.layer.bias.value.copy() for each in weight_layers(rough)}
    correct_biases(rough, model)
    for each, original in zip(weight_layers(rough), weight_layers(model), strict=True):
        error = each.layer.weight.value - original.layer.weight.value
        expected = before[each.name]
        if signals[each.name] is not None:
            mean = signals[each.name].moments()[0]
            expected = expected - np.einsum("...io,i->...o", error, mean).reshape(-1, expected.size).sum(0)
        assert np.allclose(each.layer.bias.value, expected)


def test_without_batch_norms_nothing_is_corrected_but_with_images():
    model = Model(Sequential({"fc1": Linear(5, 6), "relu": ReLU(), "fc2": Linear(6, 3)}), dtype=np.float64)
    rough = weights_only(model, 2)
    w = rough.w.copy()
    correct_biases(rough, model)
    assert np.array_equal(rough.w, w)
    correct_biases(rough, model, np.random.default_rng(0).uniform(0, 1, (50, 5)))
    assert not np.array_equal(rough.w, w)
