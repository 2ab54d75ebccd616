"""Dampening: its value and gradient, its rise, and that fewer weights oscillate with it."""

import numpy as np
import pytest

from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.quantization_aware.dampening import Dampening
from psgd_ref.compress.quantization_aware.fake_quantizer import insert_fake_quantizers
from psgd_ref.compress.quantization_aware.lsq import LSQ
from psgd_ref.data import load_digits
from psgd_ref.models import mlp
from psgd_ref.training import SGD, CrossEntropy, Penalized, fit
from tests.compress.quantization_aware.oscillations import Oscillations

DATA = load_digits()


def test_value_and_gradient():
    model = mlp((64, 12, 10), seed=0, dtype=np.float64)
    insert_fake_quantizers(model, LSQ, 3)
    penalty = Dampening(0.1, 100)
    model.g[...] = 0
    assert penalty(model, 0) == 0
    value = penalty(model, 100)
    layer = weight_layers(model)[0].layer
    w, step = layer.weight.value, float(layer.weight_quantizer.step.value)
    # The first layer has 8 bits; nothing of it is beyond its range of 128 steps.
    gap = w - np.rint(w / step) * step
    inner = weight_layers(model)[1].layer
    v = inner.weight.value
    s = float(inner.weight_quantizer.step.value)
    other = np.clip(v, -128 * s, 127 * s) - np.clip(np.rint(v / s), -128, 127) * s
    assert value == pytest.approx(0.1 * ((gap**2).sum() + (other**2).sum()))
    assert np.allclose(layer.weight.grad, 0.2 * gap)
    model.g[...] = 0
    assert penalty(model, 50) == pytest.approx(value / 2)


def test_a_change_that_undoes_the_last_counts():
    tracker = Oscillations(np.zeros(3, int), momentum=0.5)
    for codes in ([1, 1, 0], [0, 2, 0], [1, 3, 0]):
        tracker.update(np.array(codes))
    assert np.allclose(tracker.frequency, [0.75, 0, 0])
    assert tracker.fraction() == pytest.approx(1 / 3)


def oscillating(strength):
    """Share of oscillating weights of a middle layer after 200 steps of LSQ at 2 bits."""
    model = mlp((64, 16, 16, 10), seed=0)
    fit(model, SGD(0.1), DATA, epochs=3, batch_size=50)
    insert_fake_quantizers(model, LSQ, 2)
    layer = weight_layers(model)[1].layer
    optimizer, steps = SGD(0.03), 200
    objective, state = Penalized(CrossEntropy(), [Dampening(strength, steps)]), optimizer.init(model)
    rng = np.random.default_rng(0)

    def codes():
        quantizer = layer.weight_quantizer
        return np.rint(layer.weight.value / quantizer.step.value).clip(quantizer.low, quantizer.high)

    tracker = Oscillations(codes())
    for step in range(steps):
        chosen = rng.integers(0, len(DATA.train), 32)
        objective(model, DATA.normalise(DATA.train.images[chosen]), DATA.train.labels[chosen], step)
        optimizer.update(model, state)
        tracker.update(codes())
    return tracker.fraction()


def test_dampening_makes_oscillation_rare():
    free, dampened = oscillating(0.0), oscillating(0.1)
    assert free > 0.05
    assert dampened < free / 2
