"""The fused step is the chain of the mathematics: position scale, decay, momentum, move."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref import kernels
from psgd_ref.core import UniformGrid, Warp, psgd_step
from psgd_ref.kernels import Part, Parts, reference

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
        parts.append(Part(start, stop, channels, levels, strength, eps, cap))
        start = stop
    return Parts.of(parts), start


@FEW
@given(some_parts(), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.9]), st.sampled_from([0.0, 1e-2]))
def test_update_agrees_with_its_oracle(drawn, seed, momentum, weight_decay):
    parts, size = drawn
    rng = np.random.default_rng(seed)
    w, g, v = rng.standard_normal((3, size)).astype(np.float32)
    w *= np.float32(10 ** rng.uniform(-2, 2))
    if rng.random() < 0.2:
        w[parts.parts[0].start : parts.parts[0].stop] = 0
    wide = [a.astype(float) for a in (w, g, v)]
    steps = kernels.min_max_steps(w, parts)
    np.testing.assert_allclose(steps, reference.min_max_steps(w.astype(float), parts), rtol=1e-6)
    following = kernels.psgd_update(w, g, v, parts, steps, 0.1, momentum, weight_decay)
    reference.psgd_update(*wide, parts, steps.astype(float), 0.1, momentum, weight_decay)
    np.testing.assert_allclose(w, wide[0], rtol=1e-5, atol=1e-5 * np.abs(wide[0]).max())
    np.testing.assert_allclose(v, wide[2], rtol=1e-5, atol=1e-5 * np.abs(wide[2]).max())
    # The Δ that come out are those of the new weights, bit for bit.
    np.testing.assert_array_equal(following, kernels.min_max_steps(w, parts))


def test_plain_step_is_the_step_of_the_mathematics():
    rng = np.random.default_rng(1)
    w, g = rng.standard_normal((2, 5000)).astype(np.float32)
    expected = psgd_step(w, g, 0.1, Warp(UniformGrid(0.25, 7), 1e-3, 2.0))
    parts = Parts.of([Part(0, 5000, 1, 7, 2.0, 1e-3)])
    kernels.psgd_update(w, g, np.zeros_like(w), parts, np.array([0.25], np.float32), 0.1, 0.9, 0.0)
    np.testing.assert_allclose(w, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_steps_show_weights_that_are_not_finite_where_there_are_targets(value):
    parts = Parts.of([Part(0, 20, 2, 7), Part(20, 40, 1, 0), Part(40, 60, 1, None)])
    for place, spoiled in ((3, [1]), (25, [2]), (45, [])):
        w = np.ones(60, np.float32)
        w[place] = value
        for steps in (kernels.min_max_steps(w, parts), reference.min_max_steps(w, parts)):
            assert np.flatnonzero(~np.isfinite(steps)).tolist() == spoiled


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_come_through(value):
    parts = Parts.of([Part(0, 9000, 1, 7)])
    w, g, v = np.ones((3, 9000), np.float32)
    w[8500] = value
    with np.errstate(invalid="ignore"):
        assert not np.isfinite(kernels.min_max_steps(w, parts)).any()
        w[8500], g[4] = 1, value
        following = kernels.psgd_update(w, g, v, parts, np.array([0.3], np.float32), 0.1, 0.9, 1e-4)
    assert np.flatnonzero(~np.isfinite(w)).tolist() == [4]
    assert np.flatnonzero(~np.isfinite(v)).tolist() == [4]
    assert not np.isfinite(following).any()


@pytest.mark.parametrize(
    ("part", "message"),
    [(Part(0, 10, 3, 7), "whole rows"), (Part(0, 10, 1, 0, "volume"), "two targets")],
)
def test_impossible_parts_are_refused(part, message):
    with pytest.raises(ValueError, match=message):
        Parts.of([part])
