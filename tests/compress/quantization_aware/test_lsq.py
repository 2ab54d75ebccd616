"""LSQ and LSQ+: the worked vector, starts, and gradients against their straight-through surrogates."""

import numpy as np
import pytest

from psgd_ref.compress.post_training.activations import Inputs
from psgd_ref.compress.quantization_aware.lsq import LSQ, initial_step, step_gradient
from psgd_ref.compress.quantization_aware.lsq_plus import LSQPlus
from psgd_ref.laws import Subject, check
from tests.compress.quantization_aware.surrogates import alone, check_backward

W = np.array([-3, -1.2, -0.6, -0.3, 0.2, 0.49, 0.5, 0.8, 1.7, 3])


def straight_through(x, step, low, high, at):
    """The value with every rounding error frozen as it is at `at` = (x, step): what STE differentiates."""
    x0, step0 = at
    v0 = x0 / step0
    inside = (v0 > low) & (v0 < high)
    error = np.rint(v0) - v0
    return np.where(inside, x + step * error, step * np.clip(np.rint(v0), low, high))


def test_worked_vector():
    layer = LSQ(3, 0.5)
    model = alone(layer)
    y, cache = layer.forward(W, True)
    assert np.allclose(y / 0.5, [-4, -2, -1, -1, 0, 1, 1, 2, 3, 3])
    mask = layer.backward(np.ones(10), cache)
    assert np.array_equal(mask, [0, 1, 1, 1, 1, 1, 1, 1, 0, 0])
    slopes = [-4, 0.4, 0.2, -0.4, -0.4, 0.02, 0, 0.4, 3, 3]
    assert np.allclose(step_gradient(W, 0.5, 3) / 0.182574186, slopes, rtol=1e-7, atol=1e-9)
    assert model.g[0] == pytest.approx(sum(slopes) * 0.182574186)
    assert initial_step(W, 3) == pytest.approx(1.361391935)


@pytest.mark.parametrize(
    ("bits", "signed", "batched"), [(2, True, False), (3, True, False), (4, False, True)]
)
def test_backward_is_that_of_the_frozen_rounding(bits, signed, batched):
    x = np.random.default_rng(1).uniform(-3, 3, (4, 5))
    layer, step = LSQ(bits, 0.41, signed, batched), 0.41
    check_backward(layer, lambda x_, p: straight_through(x_, p["step"], layer.low, layer.high, (x, step)), x)


def test_offset_has_the_gradient_of_the_frozen_rounding():
    x = np.random.default_rng(2).uniform(-1, 3, (4, 5))
    layer = LSQPlus(3, 0.3, signed=False, batched=True, offset=-0.2)

    def surrogate(x_, p):
        inner = straight_through(x_ - p["offset"], p["step"], 0, 7, (x + 0.2, 0.3))
        return inner + p["offset"]

    check_backward(layer, surrogate, x)


def test_lsq_plus_starts():
    w = np.random.default_rng(0).normal(0.1, 1.0, 1000)
    step = alone(LSQPlus.of_weights(w, 4)).w[0]
    assert step == pytest.approx((abs(w.mean()) + 3 * w.std()) / 8)
    sample = np.linspace(-0.5, 4.0, 1001)
    layer = LSQPlus.of_inputs(Inputs(sample, np.zeros(1), -0.5, [4.0]), 4)
    model = alone(layer)
    assert model.w[1] == pytest.approx(-0.5, abs=0.15)
    assert model.w[0] == pytest.approx(4.5 / 15, rel=0.1)
    behind_a_relu = LSQPlus.of_inputs(Inputs(np.abs(sample), np.zeros(1), 0.0, [4.0]), 4)
    assert alone(behind_a_relu).w[1] == 0


def test_signed_inputs_get_signed_codes():
    inputs = Inputs(np.linspace(-1, 1, 11), np.zeros(1), -1.0, [1.0])
    assert LSQ.of_inputs(inputs, 4).low == -8
    assert LSQ.of_inputs(Inputs(np.linspace(0, 1, 11), np.zeros(1), 0.0, [1.0]), 4).low == 0


def test_values_that_are_all_zero_leave_a_usable_grid():
    layer = LSQ.of_weights(np.zeros((3, 3)), 2)
    alone(layer)
    assert np.array_equal(layer.forward(np.zeros((3, 3)), False)[0], np.zeros((3, 3)))


@pytest.mark.parametrize(("bits", "step"), [(1, 0.5), (17, 0.5), (3, 0.0), (3, float("nan"))])
def test_bad_values_are_refused(bits, step):
    with pytest.raises(ValueError, match=r"bits|step"):
        LSQ(bits, step)


def test_the_ledgers_law_holds():
    (outcome,) = check(Subject(step_gradient=step_gradient), ["H2"], examples=20).outcomes
    assert "step_gradient" not in outcome.missing
    assert outcome.counterexample == ""
