"""DSQ: the worked staircase, its limits, and gradients against it."""

import numpy as np
import pytest

from psgd_ref.compress.quantization_aware.dsq import DSQ, soft_round
from tests.compress.quantization_aware.surrogates import alone, check_backward

X = np.array([0, 0.1, 0.25, 0.4, 0.5, 0.75, 1])


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [
        (0.2, [0, 0.058836, 0.1875, 0.364842, 0.5, 0.8125, 1]),
        (0.1, [0, 0.040695, 0.151784, 0.340989, 0.5, 0.848216, 1]),
    ],
)
def test_worked_staircase_of_one_cell(alpha, expected):
    assert np.allclose(soft_round(X, 0.0, 1.0, 1, alpha), expected, atol=1e-6)


def test_worked_slopes():
    layer = DSQ(1, 0.0, 1.0, alpha=0.2)
    alone(layer)
    _, cache = layer.forward(np.array([0.5, 1e-9]), True)
    assert np.allclose(layer.backward(np.ones(2), cache), [1.373265, 0.494376], atol=1e-6)


def test_forward_is_the_hard_staircase_and_the_limit_of_the_soft_one():
    x = np.random.default_rng(0).uniform(-1.5, 1.5, 200)
    layer = DSQ(3, -1.0, 1.0)
    alone(layer)
    hard = layer.forward(x, False)[0]
    step = 2 / 7
    assert np.allclose(hard, np.clip(np.rint((x + 1) / step), 0, 7) * step - 1)
    away = np.abs((x + 1) / step % 1 - 0.5) > 0.2
    assert np.allclose(soft_round(x, -1.0, 1.0, 3, 1e-12)[away], hard[away], atol=1e-3)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.45])
def test_backward_is_that_of_the_soft_staircase(alpha):
    x = np.random.default_rng(1).uniform(-1.5, 1.3, (5, 5))
    layer = DSQ(2, -1.2, 0.9, alpha=alpha)
    check_backward(
        layer,
        lambda x_, p: soft_round(x_, float(p["lower"]), float(p["upper"]), 2, float(p["alpha"])),
        x,
        rtol=1e-4,
    )


def test_an_alpha_out_of_range_acts_as_the_nearer_end():
    x = np.random.default_rng(1).uniform(-1, 1, 20)
    gradients = []
    for alpha in (0.01, -3.0):
        layer = DSQ(2, -1.0, 1.0)
        alone(layer, {"alpha": alpha})
        gradients.append(layer.backward(np.ones(20), layer.forward(x, True)[1]))
    assert np.array_equal(*gradients)


@pytest.mark.parametrize("alpha", [0.0, 0.5, float("nan")])
def test_bad_alphas_are_refused(alpha):
    with pytest.raises(ValueError, match="alpha must "):
        DSQ(2, -1.0, 1.0, alpha=alpha)
