"""Decay to the grid against hand-worked numbers and integrals, and its refusals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from psgd_ref.core import FiniteTargets, UniformGrid, Warp, Zero
from psgd_ref.core.dynamics import grid_decay as gd

few = settings(deadline=None, derandomize=True, max_examples=30, database=None)


def test_step_by_hand():
    warp = Warp(UniformGrid(1.0), eps=0.1, strength=2.0)
    # s = 2(0.2 + 0.1) = 0.6: u = 0.6·1 + 0.5·0.2 = 0.7
    assert gd.grid_decay_step([1.2], [1.0], 0.1, warp, 0.5) == pytest.approx([1.13])
    assert gd.grid_decay_step([-0.8], [1.0], 0.1, warp, 0.5) == pytest.approx([-0.87])
    assert gd.grid_decay_step([0.3], [0.0], 1.0, Warp(Zero()), 1.0).tolist() == [0.0]


@few
@given(st.floats(-2.4, 2.4), st.sampled_from([0.0, 0.05, 2.0]), st.booleans())
def test_penalty_is_the_integral_of_its_slope(w, eps, cap):
    warp = Warp(FiniteTargets([-1.0, 0.0, 0.6]), eps, 3.0, cap)
    kinks = (-1.5, -1, -0.5, 0, 0.3, 0.6, 0.9)
    area = quad(lambda x: gd.grid_decay_slope([x], warp, 0.7)[0], 0, w, points=kinks, limit=200)[0]
    assert gd.grid_decay_penalty([w], warp, 0.7)[0] == pytest.approx(area, abs=1e-6)


def test_penalty_at_zero_eps():
    plain, capped = (Warp(UniformGrid(1.0, 1), strength=2.0, cap=cap) for cap in (False, True))
    assert gd.grid_decay_penalty([0.25, 1.5, 2.5], plain, 4.0).tolist() == [0.5, 1.0, 3.0]
    # Beyond the cap: (κ/λ)(h/2 + d²/2h), h = ½, d = 1.5
    assert gd.grid_decay_penalty([2.5], capped, 4.0) == pytest.approx([2 * (0.25 + 1.5**2)])
    assert gd.grid_decay_slope([0.0, -0.25, 5e-324], plain, 4.0).tolist() == [0.0, -2.0, 2.0]


@pytest.mark.parametrize(
    ("gradient", "lr", "factor"),
    [(0.5, 0.5, 0.75), (-0.5, 0.5, 0.75), (2.0, 0.5, 1.5), (0.0, 2.0, 1.0), (0.2, 1.5, 0.4)],
)
def test_hold_factor(gradient, lr, factor):
    assert gd.hold_factor(gradient, lr, 1.0, 1.0) == pytest.approx(factor)


def test_hold_distance_and_bounds():
    assert gd.hold_distance(-0.5, 0.1, 1.0, 1.0) == pytest.approx(0.1)
    assert gd.hold_distance(0.5, 0.0, 1.0, 1.0) == 0
    assert gd.gathering_factor(0.25, 0.5, 2.0, 1.0) == 0.75
    assert gd.rounding_bound([0.1, -0.2], 2.0, 10.0) == pytest.approx(0.6 + 0.25)


def test_refusals():
    warp = Warp(UniformGrid(1.0))
    with pytest.raises(ValueError, match="weight_decay must be a finite number >= 0; got -1"):
        gd.grid_decay_step([0.1], [0.0], 0.1, warp, -1)
    with pytest.raises(ValueError, match="g must have the shape of w"):
        gd.grid_decay_step([0.1], [0.0, 1.0], 0.1, warp, 0.1)
    with pytest.raises(ValueError, match=r"must be > strength·.gradient. = 2 to hold a weight; got 1"):
        gd.hold_distance(1.0, 0.1, 2.0, 1.0)
