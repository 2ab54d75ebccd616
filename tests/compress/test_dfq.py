"""Bias correction against the mean errors it removes, and DFQ as a whole."""

import numpy as np
import pytest

from psgd_ref.compress import (
    MinMaxGrid,
    QuantizedModel,
    correct_biases,
    dfq,
    equalise,
    fold_batch_norms,
    quantize,
)
from psgd_ref.compress.graph import links
from psgd_ref.compress.moments import input_signals
from psgd_ref.nn import Linear, Model, ReLU, Sequential
from tests.compress.networks import trained_like


def weights_only(model, bits):
    names = [part.name for part in model.segments if part.role == "weight"]
    return QuantizedModel(model, {name: MinMaxGrid(bits) for name in names})


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
    before = {link.name: link.layer.bias.value.copy() for link in links(rough)}
    correct_biases(rough, model)
    for link, original in zip(links(rough), links(model), strict=True):
        error = link.layer.weight.value - original.layer.weight.value
        expected = before[link.name]
        if signals[link.name] is not None:
            mean = signals[link.name].moments()[0]
            expected = expected - np.einsum("...io,i->...o", error, mean).reshape(-1, expected.size).sum(0)
        assert np.allclose(link.layer.bias.value, expected)


def test_without_batch_norms_nothing_is_corrected_but_with_images():
    model = Model(Sequential({"fc1": Linear(5, 6), "relu": ReLU(), "fc2": Linear(6, 3)}), dtype=np.float64)
    rough = weights_only(model, 2)
    w = rough.w.copy()
    correct_biases(rough, model)
    assert np.array_equal(rough.w, w)
    correct_biases(rough, model, np.random.default_rng(0).uniform(0, 1, (50, 5)))
    assert not np.array_equal(rough.w, w)


def test_equalisation_mends_uneven_channels():
    """The case DFQ is made for: channels of one layer scaled apart, as in networks with few taps."""
    model, images = trained_like("convnet")
    folded = fold_batch_norms(model)
    s = np.array([100.0, 1.0, 0.01, 1.0])
    first, second = links(folded)[:2]
    first.layer.weight.value[...] *= s
    first.layer.bias.value[...] *= s
    first.norm.weight.value[...] *= s
    first.norm.bias.value[...] *= s
    first.norm.running_mean[...] *= s
    first.norm.running_var[...] *= s**2
    second.layer.weight.value[...] /= s[:, None]
    exact = model.forward(images)
    assert np.allclose(folded.forward(images), exact, atol=1e-3)

    def error(subject):
        return np.abs(weights_only(subject, 6).forward(images) - exact).mean()

    uneven = error(folded)
    equalise(folded)
    assert error(folded) < uneven / 3


@pytest.mark.parametrize("name", ["convnet", "vgg", "resnet", "mlp"])
def test_dfq_needs_no_data_and_shows_its_integers(name):
    model, images = trained_like(name)
    w = model.w.copy()
    small = dfq(model, 8, 8)
    assert np.array_equal(model.w, w)
    exact = model.forward(images)
    tolerance = 0.25 * np.abs(exact).mean() + 0.02
    assert np.abs(small.forward(images) - exact).mean() < tolerance
    for part in small.segments:
        assert (part.name in small.quantized) == (part.role == "weight")
    held = {link.name: link.layer.input_quantizer for link in links(small)}
    expected = [] if name == "mlp" else [link for link in held if link != "conv1"]
    assert [link for link, quantizer in held.items() if quantizer is not None] == expected


def test_dfq_is_no_worse_than_min_max_where_channels_are_uneven():
    model, images = trained_like("vgg", seed=3)
    exact = model.forward(images)
    plain = np.abs(quantize(model, 4).forward(images) - exact).mean()
    assert np.abs(dfq(model, 4).forward(images) - exact).mean() < plain
