"""Momentum and Adam in both orders by hand, and against Adam written out anew."""

import numpy as np
import pytest

from psgd_ref.core import UniformGrid, Warp
from psgd_ref.core.dynamics.averaging import Moments, adam_step, largest_stable_momentum_step, momentum_step

warp = Warp(UniformGrid(1.0), strength=2.0)


def test_momentum_by_hand():
    # s(0.25) = 0.5: the scaled move is 0.1·0.5·3 = 0.15
    w, velocity = momentum_step([0.25], [0.1], [3.0], 0.1, warp, 0.5, "before")
    assert (w[0], velocity[0]) == pytest.approx((0.05, 0.2))
    w, velocity = momentum_step([0.25], [1.0], [3.0], 0.1, warp, 0.5, "after")
    assert (w[0], velocity[0]) == pytest.approx((0.25 - 0.1 * 0.5 * 3.5, 3.5))


@pytest.mark.parametrize("order", ["before", "after"])
def test_adam_is_adam(order):
    rng, lr = np.random.default_rng(0), 0.01
    w = mine = rng.uniform(-2, 2, 5)
    moments, m, v = Moments(np.zeros(5), np.zeros(5)), np.zeros(5), np.zeros(5)
    for k in range(1, 6):
        g = rng.standard_normal(5)
        w, moments = adam_step(w, moments, g, lr, warp, order, eps=1e-3)
        s = 2 * np.abs(mine - np.rint(mine))
        u = s * g if order == "before" else g
        m, v = 0.9 * m + 0.1 * u, 0.999 * v + 0.001 * u * u
        u = m / (1 - 0.9**k) / (np.sqrt(v / (1 - 0.999**k)) + 1e-3)
        mine = mine - lr * (u if order == "before" else s * u)
        np.testing.assert_allclose(w, mine, rtol=1e-10)


def test_no_gradient_no_step():
    w, _ = adam_step([0.3], Moments(np.zeros(1), np.zeros(1)), [0.0], 0.1, warp, "before")
    assert w.tolist() == [0.3]


def test_stable_step_and_refusals():
    assert largest_stable_momentum_step(np.diag([1.0, 4.0]), 0.9) == pytest.approx(0.95)
    with pytest.raises(ValueError, match="order must be one of before, after; got 'gradient'"):
        momentum_step([0.1], [0.0], [1.0], 0.1, warp, 0.9, "gradient")
    with pytest.raises(ValueError, match="momentum must be a finite number >= 0"):
        momentum_step([0.1], [0.0], [1.0], 0.1, warp, -0.9, "before")
