"""Floor or ceil: the box optimum against PSGD's own flow, and flips against all corners."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.core import UniformGrid, Warp, psgd_step
from tests.compress.rounding import (
    best_rounding,
    box_minimum,
    floor_or_ceil,
    layer_curvature,
    neighbours,
    quadratic_loss,
)

settings.register_profile("rounding", deadline=None, derandomize=True, max_examples=20)
PROFILE = settings.get_profile("rounding")
GRID = UniformGrid(0.5, 7)


def problem(seed, n):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(3 * n, n)) @ rng.normal(size=(n, n))
    return rng.uniform(-2, 2, n), layer_curvature(inputs) + 0.01 * np.eye(n)


@settings(PROFILE)
@given(st.integers(0, 10**6), st.integers(1, 7))
def test_orders_of_the_losses(seed, n):
    """The box bounds every corner, the best corner every other, and flips never lose to nearest."""
    w, h = problem(seed, n)
    rng = np.random.default_rng(seed + 1)
    aim = w + rng.normal(0, 0.3, n)
    low, high = neighbours(w, GRID)
    found = [
        box_minimum(aim, h, low, high),
        best_rounding(w, GRID, h, aim),
        floor_or_ceil(w, GRID, h, aim),
        GRID.nearest(w),
    ]
    losses = [float(quadratic_loss(x, aim, h)) for x in found]
    slack = 1e-9 * (1 + losses[-1])
    assert all(a <= b + slack for a, b in pairwise(losses))
    for x in found[1:]:
        assert (np.isclose(x, low) | np.isclose(x, high)).all()


@settings(PROFILE)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_box_minimum_satisfies_its_conditions(seed, n):
    w, h = problem(seed, n)
    aim = w + np.random.default_rng(seed).normal(0, 0.5, n)
    low, high = neighbours(w, GRID)
    x = box_minimum(aim, h, low, high)
    slope, slack = h @ (x - aim), 1e-8 * np.abs(h).sum()
    assert (np.abs(slope[(x > low) & (x < high)]) <= slack).all()
    assert (slope[x == low] >= -slack).all() or (x == high)[x == low].any()
    assert (slope[(x == high) & (low < high)] <= slack).all()


@pytest.mark.parametrize("seed", range(3))
def test_psgd_s_flow_ends_at_the_box_minimum(seed):
    """Claim D6: fixed grid, ε = 0, small steps, and a minimiser outside the box."""
    w, h = problem(seed, 6)
    h = h / np.linalg.eigvalsh(h).max()
    aim = w + np.random.default_rng(seed).normal(0, 0.4, 6)
    warp, x = Warp(GRID, strength="volume"), w.copy()
    for _ in range(10_000):
        x = psgd_step(x, h @ (x - aim), 0.05, warp)
    expected = box_minimum(aim, h, *neighbours(w, GRID))
    assert quadratic_loss(x, aim, h) == pytest.approx(quadratic_loss(expected, aim, h), rel=0.02, abs=1e-4)


def test_correlated_inputs_make_nearest_a_bad_choice():
    """AdaRound's point, in two weights: rounding both down shifts the sum, one up and one down does not."""
    h = np.array([[1.0, 0.99], [0.99, 1.0]])
    w = np.array([0.2, 0.2])
    assert np.array_equal(GRID.nearest(w), [0, 0])
    best = best_rounding(w, GRID, h)
    assert sorted(best) == [0, 0.5]
    assert np.array_equal(np.sort(floor_or_ceil(w, GRID, h)), [0, 0.5])


def test_weights_beyond_the_grid_go_to_its_end():
    low, high = neighbours(np.array([9.0, -9.0, 0.6, 0.5]), GRID)
    assert np.array_equal(low, [3.5, -3.5, 0.5, 0.5])
    assert np.array_equal(high, [3.5, -3.5, 1.0, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_rounding(np.zeros(17), GRID, np.eye(17)), "at most 16 entries to try all; got 17"),
        (lambda: box_minimum(np.zeros(2), np.zeros((2, 2)), -np.ones(2), np.ones(2)), "positive diagonal"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
