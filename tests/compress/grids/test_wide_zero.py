"""The widened zero cell: levels of the min-max grid, a wider cell, and one run for both purposes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from psgd_ref.compress import MinMaxGrid, WideZeroGrid, prune, quantize
from psgd_ref.data import load_moons
from psgd_ref.models import mlp
from psgd_ref.training import PSGD, fit

WEIGHTS = arrays(np.float64, 20, elements=st.floats(-4, 4).filter(lambda x: x == 0 or abs(x) > 1e-3))


@given(w=WEIGHTS, bits=st.integers(2, 8), reach=st.floats(0, 0.5))
def test_its_targets_are_levels_of_the_min_max_grid(w, bits, reach):
    grid, usual = WideZeroGrid(bits, reach=reach), MinMaxGrid(bits).fit(w)
    targets = grid.fit(w).values
    assert np.array_equal(usual.nearest(targets), targets)
    assert np.array_equal(targets, -targets[::-1])
    assert targets[-1] == usual.levels * usual.step
    assert np.array_equal(
        np.diff(targets[targets > 0]).round(9), np.full(sum(targets > 0) - 1, usual.step).round(9)
    )
    # Zero's cell ends halfway to the first level, within half a step of what is asked for.
    least = targets[targets > 0].min() / 2
    assert abs(least - max(reach * targets[-1], usual.step / 2)) <= usual.step / 4 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("bits", "reach", "levels"),
    [
        (3, 0.25, [-3, -2, 0, 2, 3]),
        (3, 0, [-3, -2, -1, 0, 1, 2, 3]),
        (4, 0.5, [-7, 0, 7]),
        (4, 0.25, [-7, -6, -5, -4, 0, 4, 5, 6, 7]),
    ],
)
def test_which_levels_stay(bits, reach, levels):
    w = np.linspace(-1, 1, 7) * (2 ** (bits - 1) - 1)
    assert WideZeroGrid(bits, reach=reach).fit(w).values.tolist() == levels


def test_psgd_towards_it_draws_weights_to_zero_and_to_levels():
    model = mlp((2, 16, 16, 2), seed=1)
    grid = WideZeroGrid(4, reach=0.3)
    before = distances(model, grid)
    fit(model, PSGD(0.1, 0.9, 0, grid), load_moons(300), epochs=10, batch_size=20, show_progress=False)
    assert distances(model, grid) < 0.8 * before
    both = quantize(prune(model, 0.3), 4)
    assert not both.w[~both.mask].any()


def distances(model, grid):
    """Mean distance from the nearest target, relative to the largest weight, of the middle layer."""
    w = model.segment("fc2.weight").view(model.w)
    return float(np.abs(w - grid.fit(w).nearest(w)).mean() / np.abs(w).max())


@pytest.mark.parametrize("reach", [-0.1, 0.6, "wide"])
def test_refusals(reach):
    with pytest.raises(ValueError, match="reach"):
        WideZeroGrid(4, reach=reach)
