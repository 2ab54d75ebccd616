"""Holding quantizers: which layers, how many bits, what stays, and that every method trains."""

import numpy as np
import pytest

from psgd_ref.compress.quantization_aware.bayesian_bits import BayesianBits
from psgd_ref.compress.quantization_aware.dsq import DSQ
from psgd_ref.compress.quantization_aware.ewgs import EWGS
from psgd_ref.compress.quantization_aware.fake_quantizer import (
    fake_quantizers,
    insert_fake_quantizers,
    remove_fake_quantizers,
)
from psgd_ref.compress.quantization_aware.lsq import LSQ
from psgd_ref.compress.quantization_aware.lsq_plus import LSQPlus
from psgd_ref.data import load_digits
from psgd_ref.models import convnet
from psgd_ref.training import SGD, accuracy, fit

DATA = load_digits()
IMAGES = DATA.normalise(DATA.train.images[:100])
METHODS = [LSQ, LSQPlus, DSQ, EWGS, BayesianBits]


def test_outer_layers_and_the_image_keep_their_bits():
    model = convnet(widths=(4, 4, 4), seed=0)
    insert_fake_quantizers(model, LSQ, 2, 2, IMAGES)
    bits = [(each.name, quantizer.bits) for each, quantizer in fake_quantizers(model)]
    assert bits == [
        ("conv1", 8),
        ("conv2", 2),
        ("conv2", 2),
        ("conv3", 2),
        ("conv3", 2),
        ("fc", 8),
        ("fc", 8),
    ]
    assert len({quantizer.seed for _, quantizer in fake_quantizers(model)}) == len(bits)


@pytest.mark.parametrize("kind", METHODS)
def test_taking_out_leaves_the_latent_weights(kind):
    model = convnet(widths=(4, 4), seed=0)
    before, logits = model.w.copy(), model.forward(IMAGES)
    insert_fake_quantizers(model, kind, 2, 2, IMAGES)
    assert {s.role for s in model.segments} >= {"weight", "bias", "norm", "quantizer"}
    assert not np.allclose(model.forward(IMAGES), logits)
    remove_fake_quantizers(model)
    assert np.array_equal(model.w, before)
    assert np.array_equal(model.forward(IMAGES), logits)


def test_a_new_quantizer_starts_afresh():
    model = convnet(widths=(4, 4), seed=0)
    insert_fake_quantizers(model, LSQ, 4)
    first = model.segment("conv2.weight_quantizer.step").view(model.w).copy()
    insert_fake_quantizers(model, LSQ, 2)
    assert model.segment("conv2.weight_quantizer.step").view(model.w) > first


@pytest.mark.parametrize("kind", METHODS)
def test_every_method_trains_weights_and_activations(kind):
    model = convnet(widths=(4, 8), seed=0)
    fit(model, SGD(0.1), DATA, epochs=3, batch_size=50)
    bits = 8 if kind is BayesianBits else 4
    insert_fake_quantizers(model, kind, bits, bits, IMAGES)
    start = model.w.copy()
    history = fit(model, SGD(0.02, weight_decay=0.0), DATA, epochs=3, batch_size=50)
    # Gates that are open with certainty move by their cost alone (see test_bayesian_bits).
    learned = [s.name for s in model.segments if s.role == "quantizer"]
    for name in learned:
        span = model.segment(name).span
        assert not np.array_equal(model.w[span], start[span]), name
    assert history[-1].loss < history[0].loss
    assert accuracy(model, DATA.normalise(DATA.test.images), DATA.test.labels) > 0.6


@pytest.mark.parametrize("kind", METHODS)
def test_float32_agrees_with_float64(kind):
    x = np.random.default_rng(0).uniform(-1, 1, (6, 5)).astype(np.float32)
    from tests.compress.quantization_aware.surrogates import alone

    results = []
    for dtype in (np.float32, np.float64):
        layer = kind.of_weights(x.astype(np.float64), 4)
        model = alone(layer)
        model.bind(model.w.astype(dtype))
        y, cache = layer.forward(x.astype(dtype), True)
        dx = layer.backward(np.ones_like(x, dtype), cache)
        assert y.dtype == dx.dtype == dtype
        results.append((y, dx, model.g))
    for single, double in zip(*results, strict=True):
        assert np.allclose(single, double, atol=1e-4)


def test_activations_need_images():
    with pytest.raises(ValueError, match="need images"):
        insert_fake_quantizers(convnet(widths=(4, 4)), LSQ, 4, 4)
    with pytest.raises(ValueError, match="bits of weights"):
        insert_fake_quantizers(convnet(widths=(4, 4)), LSQ, 1)
