"""Bias correction against the mean errors it removes, and DFQ as a whole."""

import numpy as np
import pytest

from psgd_ref.compress import (
    dfq,
    equalize,
    fold_batch_norms,
    quantize,
)
from psgd_ref.compress.graph import weight_layers
from tests.compress.networks import trained_like, weights_only


def test_equalization_mends_uneven_channels():
    """The case DFQ is made for: channels of one layer scaled apart, as in networks with few taps."""
    model, images = trained_like("convnet")
    folded = fold_batch_norms(model)
    s = np.array([100.0, 1.0, 0.01, 1.0])
    first, second = weight_layers(folded)[:2]
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
    equalize(folded)
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
    held = {each.name: each.layer.input_quantizer for each in weight_layers(small)}
    expected = [] if name == "mlp" else [each for each in held if each != "conv1"]
    assert [each for each, quantizer in held.items() if quantizer is not None] == expected


def test_dfq_is_no_worse_than_min_max_where_channels_are_uneven():
    model, images = trained_like("vgg", seed=3)
    exact = model.forward(images)
    plain = np.abs(quantize(model, 4).forward(images) - exact).mean()
    assert np.abs(dfq(model, 4).forward(images) - exact).mean() < plain
