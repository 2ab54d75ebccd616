"""Clips of least error against brute force, for any power."""

import numpy as np
import pytest

from psgd_ref.compress import MinMaxGrid, MSEGrid, PNormGrid
from psgd_ref.compress.grids.mse import best_clip


@pytest.mark.parametrize("p", [0.5, 2.0, 2.5, 4.0])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("seed", range(3))
def test_clip_is_as_good_as_a_brute_force_scan(bits, p, seed):
    w = np.random.default_rng(seed).standard_t(3, size=300)
    levels = 2 ** (bits - 1) - 1

    def error(clip):
        step = clip / levels
        return (np.abs(w - step * np.clip(np.rint(w / step), -levels, levels)) ** p).sum()

    brute = min(error(clip) for clip in np.abs(w).max() * np.arange(1, 3001) / 3000)
    grid = PNormGrid(bits, p=p).fit(w)
    assert error(grid.step * levels) <= brute * 1.02


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_two_is_the_squared_error(bits):
    w = np.random.default_rng(bits).normal(size=500)
    assert PNormGrid(bits, p=2).fit(w) == MSEGrid(bits).fit(w)
    direct = best_clip(np.abs(w), 2 ** (bits - 1) - 1, 2 + 1e-9)
    assert MSEGrid(bits).fit(w).step * (2 ** (bits - 1) - 1) == pytest.approx(direct, rel=1e-3)


def test_large_powers_spare_the_largest_weights():
    w = np.random.default_rng(0).normal(size=1000)
    steps = [PNormGrid(3, p=p).fit(w).step for p in (1, 2, 4, 8)]
    assert steps == sorted(steps)
    assert steps[-1] <= MinMaxGrid(3).fit(w).step * 1.001


def test_big_tensors_are_represented_by_a_sample_of_their_order():
    w = np.random.default_rng(0).normal(size=40_000)
    whole = min(
        np.linspace(0.2, 1, 400) * np.abs(w).max(),
        key=lambda clip: (
            np.abs(np.abs(w) - np.minimum(np.rint(np.abs(w) / clip * 7), 7) * clip / 7) ** 3
        ).sum(),
    )
    assert PNormGrid(4, p=3).fit(w).step * 7 == pytest.approx(whole, rel=0.03)
