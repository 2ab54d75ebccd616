"""Moments behind a ReLU against worked values and integrals; signals against what images show."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm as normal

from psgd_ref.compress.post_training.activations import observe
from psgd_ref.compress.post_training.moments import Signal, input_signals, rectified_moments
from psgd_ref.nn import BatchNorm, Conv2d, Linear, MaxPool2d, Model, ReLU, Residual, Sequential
from tests.compress.networks import trained_like


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [(0, 1, 0.398942), (1, 1, 1.083315), (-1, 2, 0.395593), (0.5, 0.3, 0.505948)],
)
def test_worked_means(mean, std, expected):
    assert rectified_moments(np.array(mean), np.array(std))[0] == pytest.approx(expected, abs=6e-7)


@pytest.mark.parametrize("mean", [-2.0, -0.3, 0.0, 1.0, 4.0])
@pytest.mark.parametrize("std", [0.2, 1.0, 3.0])
def test_moments_are_the_integrals(mean, std):
    def moment(power):
        top = mean + 12 * std
        return quad(lambda z: z**power * normal.pdf(z, mean, std), 0, max(top, 0), limit=200)[0]

    first, variance = rectified_moments(np.array(mean), np.array(std))
    assert first == pytest.approx(moment(1), abs=1e-9)
    assert variance == pytest.approx(moment(2) - moment(1) ** 2, abs=1e-9)


def test_without_spread_a_relu_is_a_relu():
    first, variance = rectified_moments(np.array([-1.0, 0.0, 2.0]), np.zeros(3))
    assert np.array_equal(first, [0, 0, 2])
    assert np.array_equal(variance, [0, 0, 0])


@pytest.mark.parametrize("name", ["convnet", "vgg", "resnet"])
def test_every_layer_but_the_first_has_a_signal(name):
    model, images = trained_like(name)
    signals, seen = input_signals(model), observe(model, images)
    assert list(signals) == list(seen)
    assert [layer for layer, signal in signals.items() if signal is None] == ["conv1"]
    for layer, signal in signals.items():
        if signal is not None:
            assert signal.mean.shape == seen[layer].mean.shape
            assert signal.rectified


def test_a_residual_sum_adds_the_moments_of_both_summands():
    stem, block = BatchNorm(2, relu=True), BatchNorm(2, relu=True)
    net = Sequential(
        {
            "conv": Conv2d(1, 2, 1),
            "stem": stem,
            "block": Residual({"conv": Conv2d(2, 2, 1)}, ("norm", block), None),
            "after": Conv2d(2, 2, 1),
        }
    )
    model = Model(net, dtype=np.float64)
    stem.weight.value[...], stem.bias.value[...] = [-2.0, 1.0], [0.5, -1.0]
    block.weight.value[...], block.bias.value[...] = [1.5, -0.5], [0.0, 2.0]
    mean, variance = rectified_moments(np.array([0.5, -1.0]), np.array([2.0, 1.0]))
    got = input_signals(model)["after"]
    assert np.allclose(got.mean, mean + np.array([0.0, 2.0]))
    assert np.allclose(got.std**2, variance + np.array([2.25, 0.25]))
    assert got.top(6) == pytest.approx((got.mean + 6 * got.std).max())


def test_normal_inputs_have_the_predicted_moments():
    """Where the assumptions hold, independent normal summands, the prediction is the measurement."""
    model, _ = trained_like("resnet")
    signal = input_signals(model)["layer1.0.conv1"]
    rng = np.random.default_rng(0)
    drawn = np.maximum(rng.normal(signal.mean, signal.std, (200_000, signal.mean.size)), 0)
    mean, variance = signal.moments()
    assert np.allclose(drawn.mean(0), mean, atol=0.02)
    assert np.allclose(drawn.var(0), variance, rtol=0.03, atol=0.01)


def test_unknown_layers_end_a_signal_and_a_relu_cuts_it():
    norm = BatchNorm(2)
    net = Sequential(
        {"bn": norm, "relu": ReLU(), "pool": MaxPool2d(2), "conv": Conv2d(2, 3, 1), "c2": Conv2d(3, 1, 1)}
    )
    model = Model(net, dtype=np.float64)
    signals = input_signals(model)
    assert signals["conv"].rectified
    assert signals["c2"] is None
    assert not Signal(np.zeros(2), np.ones(2)).rectified
    assert np.array_equal(Signal(np.ones(2), 2 * np.ones(2)).moments()[1], [4, 4])
    assert input_signals(Model(Sequential({"fc": Linear(2, 2)})))["fc"] is None
