"""HALP: the worked scales, a pass against plain loops; regression converges linearly, and fails at 2 bits."""

import numpy as np
import pytest

from psgd_ref.data import load_digits
from psgd_ref.models import mlp
from psgd_ref.training import DivergenceError, Recipe, fit_halp
from psgd_ref.training.halp import bit_centred_epoch, offset_scale
from psgd_ref.training.optimizers.schedules import constant

RNG = np.random.default_rng(0)
X = RNG.standard_normal((100, 8))
Y = X @ RNG.standard_normal(8) + 0.1 * RNG.standard_normal(100)
BEST = np.linalg.lstsq(X, Y, rcond=None)[0]
CONVEXITY = np.linalg.eigvalsh(X.T @ X / 100)[0]
LR, INNER = 0.02, 200


def full_gradient(w):
    return X.T @ (X @ w - Y) / 100


def example_gradient(i):
    return lambda w: X[i] * (X[i] @ w - Y[i])


def reference(w, order, u, bits, mu):
    """The published loop, number by number."""
    g = full_gradient(w)
    s = np.sqrt((g * g).sum()) / (mu * (2 ** (bits - 1) - 1))
    z = [0.0] * 8
    for k, i in enumerate(order):
        new = w + np.array(z)
        step = X[i] * (X[i] @ new - Y[i]) - X[i] * (X[i] @ w - Y[i]) + g
        for j in range(8):
            code = np.floor((z[j] - LR * step[j]) / s + u[k, j])
            z[j] = s * min(max(code, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)
    return w + np.array(z)


def test_worked_scales():
    assert offset_scale(2.0, 8, 4.0) == pytest.approx(0.00393701, rel=1e-6)
    assert offset_scale(2.0, 4, 4.0) == pytest.approx(0.0714286, rel=1e-6)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_pass_is_that_of_the_reference(bits):
    w, order = np.ones(8), np.random.default_rng(1).integers(0, 100, 50)
    u = np.array([np.random.default_rng(2).random((50, 8))]).reshape(50, 8)
    gradients = [example_gradient(i) for i in order]
    got = bit_centred_epoch(w, full_gradient(w), gradients, constant(LR), bits, 1.0, np.random.default_rng(2))
    assert np.allclose(got, reference(w, order, u, bits, 1.0), atol=1e-12)


def distances(bits, mu, train_epochs=12):
    """Distance to the optimum before and behind every pass, the mean over three runs."""
    runs = []
    for seed in range(3):
        rng, w = np.random.default_rng(seed), np.zeros(8)
        found = [np.linalg.norm(w - BEST)]
        for _ in range(train_epochs):
            gradients = [example_gradient(i) for i in rng.integers(0, 100, INNER)]
            w = bit_centred_epoch(w, full_gradient(w), gradients, constant(LR), bits, mu, rng)
            found.append(np.linalg.norm(w - BEST))
        runs.append(found)
    return np.mean(runs, axis=0)


def test_regression_converges_linearly_with_eight_bits():
    found = distances(8, CONVEXITY)
    # A constant factor a pass, far below what a grid of fixed step could reach.
    assert np.all(found[1:] < 0.8 * found[:-1])
    assert found[-1] < 1e-4 * found[0]


def test_two_bits_fail():
    found = distances(2, CONVEXITY)
    assert found[-1] > 0.1 * found[0]


def test_the_optimum_lies_within_the_grid():
    w = np.zeros(8)
    for bits in (2, 8):
        reach = offset_scale(np.linalg.norm(full_gradient(w)), bits, CONVEXITY) * (2 ** (bits - 1) - 1)
        assert np.abs(BEST - w).max() <= reach


def test_a_network_learns_and_repeats_bit_for_bit():
    data, models = load_digits(), []
    for _ in range(2):
        model = mlp((64, 16, 10), seed=0)
        losses = fit_halp(model, data, epochs=3, recipe=Recipe(50), lr=0.1, bits=8, mu=5.0)
        models.append(model)
    assert losses[-1] < 0.7 * losses[0]
    assert np.array_equal(models[0].w, models[1].w)


def test_divergence_is_said():
    with pytest.raises(DivergenceError, match="HALP diverged in epoch 1"):
        fit_halp(mlp((64, 16, 10), seed=0), load_digits(), epochs=2, lr=1e30, mu=1e-30)


@pytest.mark.parametrize(("bits", "mu"), [(1, 1.0), (8, 0.0)])
def test_bad_values_are_refused(bits, mu):
    with pytest.raises(ValueError, match=r"bits|mu"):
        bit_centred_epoch(np.ones(2), np.ones(2), [], constant(0.1), bits, mu, np.random.default_rng(0))
