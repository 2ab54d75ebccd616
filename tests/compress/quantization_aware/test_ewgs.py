"""EWGS: the worked vector, and gradients against the surrogate that the scaled estimator stands for."""

import numpy as np
import pytest

from psgd_ref.compress.quantization_aware.ewgs import EWGS
from psgd_ref.kernels import reference
from tests.compress.quantization_aware.surrogates import alone, check_backward


def test_worked_vector():
    w, g = np.array([0.2, 0.4, 0.6, 0.9]), np.array([0.5, -0.5, 1, -1])
    layer = EWGS(2, 0.0, 1.0, delta=0.2)
    alone(layer)
    y, cache = layer.forward(w, True)
    assert np.allclose(y, [1 / 3, 1 / 3, 2 / 3, 1])
    assert np.allclose(layer.backward(g, cache), [0.486667, -0.493333, 0.986667, -1.02], atol=1e-6)


@pytest.mark.parametrize("delta", [0.0, 0.3])
def test_backward_is_that_of_a_rounding_of_that_slope(delta):
    """Around each entry the rounding is a line of slope 1 + δ sgn(g)(x_n − x_q) in normalised units."""
    x = np.random.default_rng(1).uniform(-1.5, 1.5, (5, 5))
    layer = EWGS(3, -1.1, 0.9, delta=delta)
    dy = np.random.default_rng(0).standard_normal(x.shape)  # that of check_backward
    normal = np.clip((x + 1.1) / 2.0, 0, 1)
    code = np.rint(normal * 7) / 7
    slope = 1 + delta * np.sign(dy) * (normal - code)

    def surrogate(x_, p):
        lower, upper = p["lower"], p["upper"]
        moved = np.clip((x_ - lower) / (upper - lower), 0, 1)
        return lower + (upper - lower) * (code + slope * (moved - normal))

    check_backward(layer, surrogate, x)


def test_without_delta_it_is_the_plain_straight_through_estimator():
    x = np.random.default_rng(0).uniform(-2, 2, 50)
    layer = EWGS(2, -1.0, 1.0, delta=0.0)
    alone(layer)
    _, cache = layer.forward(x, True)
    dx = layer.backward(np.ones(50), cache)
    assert np.array_equal(dx, reference.fake_quantize_backward(np.ones(50), x, 2 / 3, -1.0, 0, 3)[0])


def test_ends_that_cross_stay_a_range():
    layer = EWGS(2, -1.0, 1.0)
    alone(layer, {"lower": 2.0})
    lower, upper = layer.ends
    assert upper > lower
    assert np.isfinite(layer.forward(np.linspace(-3, 3, 7), False)[0]).all()


@pytest.mark.parametrize(("lower", "upper"), [(1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)])
def test_bad_ranges_are_refused(lower, upper):
    with pytest.raises(ValueError, match="lower < upper"):
        EWGS(2, lower, upper)
