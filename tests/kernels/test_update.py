"""The fused step is the chain of the mathematics: position scale, decay, momentum, move."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref import kernels
from psgd_ref.core import UniformGrid, Warp, psgd_step
from psgd_ref.kernels import Part, Parts, reference
from psgd_ref.kernels.parts import REFITS

FEW = settings(max_examples=30, deadline=None)


@st.composite
def some_parts(draw):
    """Parts of every kind, one behind the other."""
    parts, start = [], 0
    for _ in range(draw(st.integers(1, 5))):
        channels = draw(st.sampled_from([1, 1, 2, 10, 600]))
        stop = start + channels * draw(st.sampled_from([1, 3, 900]))
        levels = draw(st.sampled_from([None, 0, 1, 7, 127]))
        strength = draw(st.sampled_from([1.0, 2.5] if levels == 0 else ["volume", 3.0]))
        eps, cap = draw(st.sampled_from([0.0, 1e-2])), draw(st.booleans())
        refit = draw(st.sampled_from(REFITS))
        parts.append(Part(start, stop, channels, levels, strength, eps, cap, refit))
        start = stop
    return Parts.of(parts), start


@FEW
@given(
    some_parts(),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.9]),
    st.sampled_from([0.0, 1e-2]),
    st.sampled_from([0.0, 0.3]),
)
def test_update_agrees_with_its_oracle(drawn, seed, momentum, weight_decay, grid_decay):
    parts, size = drawn
    rng = np.random.default_rng(seed)
    w, g, v = rng.standard_normal((3, size)).astype(np.float32)
    w *= np.float32(10 ** rng.uniform(-2, 2))
    if rng.random() < 0.2:
        w[parts.parts[0].start : parts.parts[0].stop] = 0
    # Weights within the grid and beyond it: the cap and the outermost targets have work to do.
    # Where all weights are 0 there is no scale to take Δ from: any will do.
    scale = np.abs(w).max() or 1.0
    steps = (scale * rng.uniform(0.01, 2, parts.slots)).astype(np.float32)
    wide, wide_steps = [a.astype(float) for a in (w, g, v)], steps.astype(float)
    for _ in range(2):
        largest = np.abs(wide[0]).max()
        oracle_steps = reference.fitted_steps(wide[0], parts, wide_steps)
        assert kernels.psgd_update(w, g, v, parts, steps, 0.1, momentum, weight_decay, grid_decay)
        np.testing.assert_allclose(steps, oracle_steps, rtol=1e-5)
        cells = wide[0] / np.concatenate([_of_weights(part, steps, slot) for part, slot in _slots(parts)])
        midway = np.abs(cells - np.rint(cells))
        # From the kernel's Δ, so that its rounding puts no weight nearer to another target.
        wide_steps = steps.astype(float)
        given_parts = Parts.of([replace(part, refit="given") for part in parts.parts])
        assert reference.psgd_update(*wide, given_parts, wide_steps, 0.1, momentum, weight_decay, grid_decay)
        # Midway between two targets rounding chooses, and the pulls to them point in opposite directions.
        clear = midway < 0.499
        for one, oracle in ((w, wide[0]), (v, wide[2])):
            atol = 2e-5 * max(largest, np.abs(oracle).max())
            np.testing.assert_allclose(one[clear], oracle[clear], rtol=1e-5, atol=atol)
        wide = [a.astype(float) for a in (w, g, v)]


def _slots(parts):
    return zip(parts.parts, parts.whole[:, 2], strict=True)


def _of_weights(part, steps, slot):
    """The Δ of every weight of a part."""
    return np.tile(steps[slot : slot + part.channels], (part.stop - part.start) // part.channels)


def test_plain_step_is_the_step_of_the_mathematics():
    rng = np.random.default_rng(1)
    w, g = rng.standard_normal((2, 5000)).astype(np.float32)
    expected = psgd_step(w, g, 0.1, Warp(UniformGrid(0.25, 7), 1e-3, 2.0))
    parts = Parts.of([Part(0, 5000, 1, 7, 2.0, 1e-3, refit="given")])
    assert kernels.psgd_update(w, g, np.zeros_like(w), parts, np.array([0.25], np.float32), 0.1, 0.9, 0.0)
    np.testing.assert_allclose(w, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 5])
def test_beyond_the_outermost_target_a_capped_scale_is_that_of_half_a_gap(channels):
    w, v = np.array([0.0, 1.0, 1.2, 4.0, -7.0], np.float32), np.zeros(5, np.float32)
    parts = Parts.of([Part(0, 5, channels, 2, 3.0, 0.0, cap=True, refit="given")])
    steps = np.full(channels, 0.5, np.float32)
    kernels.psgd_update(w, np.ones(5, np.float32), v, parts, steps, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(v, 3 * np.array([0, 0, 0.2, 0.25, 0.25]), rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 5])
def test_decay_to_the_grid_pulls_to_the_nearest_target(channels):
    w, v = np.array([0.0, 1.0, 1.2, 4.0, -0.3], np.float32), np.zeros(5, np.float32)
    parts = Parts.of([Part(0, 5, channels, 2, 1.0, refit="given")])
    steps = np.full(channels, 0.5, np.float32)
    kernels.psgd_update(w, np.zeros(5, np.float32), v, parts, steps, 0.0, 0.0, 0.0, 2.0)
    np.testing.assert_allclose(v, 2 * np.array([0, 0, 0.2, 3, 0.2]), rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_learned_step_is_the_least_squares_of_the_codes_and_stays_where_all_are_zero(channels):
    rng = np.random.default_rng(0)
    w = rng.uniform(-1, 1, 9000).astype(np.float32)
    parts = Parts.of([Part(0, 9000, channels, 3, refit="learned"), Part(9000, 9003, 1, 3, refit="learned")])
    w = np.concatenate([w, np.full(3, 0.01, np.float32)])
    steps = np.full(parts.slots, 0.2, np.float32)
    rows = w[:9000].astype(float).reshape(-1, channels)
    codes = np.clip(np.rint(rows / np.float32(0.2)), -3, 3)
    kernels.psgd_update(w, np.zeros_like(w), np.zeros_like(w), parts, steps, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(steps[:-1], (rows * codes).sum(0) / (codes**2).sum(0), rtol=1e-5)
    assert steps[-1] == np.float32(0.2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("refit", ["min-max", "learned", "given"])
def test_weights_that_are_not_finite_are_found_where_there_are_targets(value, refit):
    kinds = [Part(0, 20, 2, 7, refit=refit), Part(20, 40, 1, 0, refit=refit), Part(40, 60, 1, None)]
    for parts, slots in ((kinds, 4), ([replace(kinds[0], channels=1), *kinds[1:]], 3)):
        for place, spoiled in ((3, slots - 3), (25, slots - 2), (45, None)):
            for module in (kernels, reference):
                w, g, v = np.ones((3, 60), np.float32)
                w[place] = value
                steps = np.ones(slots, np.float32)
                with np.errstate(invalid="ignore"):
                    done = module.psgd_update(w, g, v, Parts.of(parts), steps, 0.1, 0.9, 0.0)
                assert done is (spoiled is None)
                assert np.flatnonzero(~np.isfinite(steps)).tolist() == ([] if done else [spoiled])
                assert done or (np.delete(w, place) == 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_gradients_that_are_not_finite_come_through(value):
    parts = Parts.of([Part(0, 9000, 1, 7)])
    w, g, v = np.ones((3, 9000), np.float32)
    w[8500] = 0.9
    g[8500] = value
    with np.errstate(invalid="ignore"):
        assert kernels.psgd_update(w, g, v, parts, np.ones(1, np.float32), 0.1, 0.9, 1e-4)
    assert np.flatnonzero(~np.isfinite(w)).tolist() == [8500]
    assert np.flatnonzero(~np.isfinite(v)).tolist() == [8500]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Part(0, 10, 1, 7, refit="ema"), "refit must be"),
        (Part(0, 10, 3, 7), "whole rows"),
        (Part(0, 10, 1, 0, "volume"), "two targets"),
    ],
)
def test_impossible_parts_are_refused(part, message):
    with pytest.raises(ValueError, match=message):
        Parts.of([part])
