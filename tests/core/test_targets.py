"""Target sets: nearest, gaps, ties, respacing, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings

from psgd_ref.core import FiniteTargets, UniformGrid, Zero
from psgd_ref.laws.drawing.strategies import placed, setups, uneven_targets, uniform_grids

few = settings(deadline=None, derandomize=True, max_examples=60, database=None)


@few
@given(placed(setups()))
def test_nearest_by_brute_force(at):
    points, w = at.setting.points, at.w[np.abs(at.w) <= np.abs(at.setting.points).max() + 4 * at.setting.unit]
    q = at.setting.targets.nearest(w)
    best = np.abs(w[:, None] - points).min(axis=1)
    np.testing.assert_allclose(np.abs(w - q), best, atol=1e-14 * (np.abs(points).max() + at.setting.unit))


@few
@given(placed(setups(uniform_grids(lattice=False))))
def test_a_grid_is_the_finite_set_of_its_values(at):
    grid, w = at.setting.targets, at.w
    finite = FiniteTargets(at.setting.points)
    walls = np.abs(w / grid.step - np.floor(w / grid.step) - 0.5) < 1e-9  # rounding decides there
    np.testing.assert_array_equal((grid.position(w) - finite.position(w))[~walls], 0)
    position = grid.position(w)
    for side in (1.0, -1.0):
        ours, theirs = (t.gap(position, np.full_like(w, side)) for t in (grid, finite))
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


@few
@given(placed(setups(uneven_targets(2))))
def test_gaps_lead_to_the_neighbour(at):
    targets, position = at.setting.targets, at.setting.targets.position(at.w)
    for side in (1.0, -1.0):
        gap = targets.gap(position, np.full_like(at.w, side))
        inner = np.isfinite(gap)
        there = targets.value(position[inner] + side) if inner.any() else np.zeros(0)
        expected = targets.value(position[inner]) + side * gap[inner]
        np.testing.assert_allclose(there, expected, rtol=1e-12, atol=1e-12 * np.abs(targets.values).max())


@few
@given(uneven_targets(2))
def test_respacing_keeps_positions_and_zero(targets):
    doubled = targets.respaced(lambda gap: 2 * gap)
    assert doubled.values[targets.origin] == 0
    np.testing.assert_allclose(np.diff(doubled.values), 2 * np.diff(targets.values), rtol=1e-9)
    position = np.arange(len(targets.values)) - targets.origin
    np.testing.assert_array_equal(doubled.position(doubled.values), position)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "targets", [Zero(), UniformGrid(0.5), UniformGrid(0.5, 3), FiniteTargets([-1, 0, 0.5])]
)
def test_dtype_is_kept(dtype, targets):
    w = np.array([-0.8, 0.0, 0.3, 0.49], dtype)
    assert targets.position(w).dtype == targets.nearest(w).dtype == dtype
    assert targets.gap(targets.position(w), np.ones_like(w)).dtype == dtype
    assert targets.nearest(w.reshape(2, 2)).shape == (2, 2)
    assert targets.nearest(w[:0]).shape == (0,)


def test_integers_become_floats():
    assert UniformGrid(2).nearest([1, 3, 5]).tolist() == [0.0, 4.0, 4.0]


def test_ties_to_even():
    w = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    expected = [-2, -2, 0, 0, 2, 2]
    assert UniformGrid(1.0).nearest(w).tolist() == expected
    assert UniformGrid(1.0, 3).nearest(w).tolist() == expected
    assert FiniteTargets(np.arange(-3, 4)).nearest(w).tolist() == expected
    # Counted from the target nearest to zero, whatever its value.
    assert FiniteTargets([1.0, 2.0, 3.0]).nearest([1.5, 2.5]).tolist() == [1.0, 3.0]


def test_finite_targets_compare_by_value():
    assert FiniteTargets([0, 1]) == FiniteTargets([0.0, 1.0]) != FiniteTargets([0, 2])
    assert hash(FiniteTargets([0, 1])) == hash(FiniteTargets([0.0, 1.0]))
    with pytest.raises(ValueError, match="read-only"):
        FiniteTargets([0, 1]).values[0] = 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UniformGrid(0), "step must be a finite number > 0; got 0"),
        (lambda: UniformGrid(-1.0), "step must be"),
        (lambda: UniformGrid(np.nan), "step must be"),
        (lambda: UniformGrid("0.1"), "step must be a finite number > 0; got '0.1'"),
        (lambda: UniformGrid(True), "step must be"),
        (lambda: UniformGrid(0.1, 0), "levels must be a whole number >= 1; got 0"),
        (lambda: UniformGrid(0.1, 2.5), "levels must be a whole number >= 1; got 2.5"),
        (lambda: FiniteTargets([]), "values must be one-dimensional and not empty"),
        (lambda: FiniteTargets([[0.0, 1.0]]), "values must be one-dimensional"),
        (lambda: FiniteTargets([0.0, 0.0]), "values must be strictly increasing"),
        (lambda: FiniteTargets([1.0, 0.0]), "values must be strictly increasing"),
        (lambda: FiniteTargets([0.0, np.inf]), "values must be finite; 1 of 2 entries"),
        (lambda: FiniteTargets(["a"]), "values must be an array of real numbers; got dtype <U1"),
        (lambda: UniformGrid(0.1).nearest([np.nan]), "w must be finite; 1 of 1 entries"),
        (lambda: UniformGrid(1e-300).nearest([1e300]), "w / step must be finite"),
        (lambda: Zero().nearest([1j]), "w must be an array of real numbers"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
