"""ACIQ against its table, its closed form, SciPy's minimiser on drawn laws, and its worked allocation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from psgd_ref.compress import ACIQGrid, MSEGrid, correct_channels, quantize_tensor
from psgd_ref.compress.grids.aciq import (
    gauss_clip,
    gauss_error,
    half_range_clip,
    laplace_clip,
    laplace_error,
)
from psgd_ref.compress.grids.bit_allocation import allocate_bits, allocated_grids, optimal_bins

settings.register_profile("aciq", deadline=None, derandomize=True, max_examples=40)
PROFILE = settings.get_profile("aciq")

# α and the mean squared error at α for 1 … 8 bits.
LAPLACE = (1.86282, 2.83068, 3.89723, 5.02864, 6.20477, 7.41313, 8.64562, 9.89676)
GAUSS = (1.23991, 1.71064, 2.15159, 2.55914, 2.93620, 3.28691, 3.61511, 3.92404)
LAPLACE_ERROR = (0.599643, 0.284878, 0.119702, 0.046021, 0.016572, 0.005679, 0.001873, 0.000599)
GAUSS_ERROR = (0.215010, 0.087148, 0.031429, 0.010493, 0.003323, 0.001013, 0.000300, 0.0000871)


@pytest.mark.parametrize("bits", range(1, 9))
def test_table(bits):
    assert laplace_clip(bits) == pytest.approx(LAPLACE[bits - 1], abs=5.1e-6)
    assert gauss_clip(bits) == pytest.approx(GAUSS[bits - 1], abs=5.1e-6)
    assert laplace_error(laplace_clip(bits), bits) == pytest.approx(LAPLACE_ERROR[bits - 1], abs=6e-7)
    assert gauss_error(gauss_clip(bits), bits) == pytest.approx(GAUSS_ERROR[bits - 1], abs=6e-7)


@pytest.mark.parametrize("bits", range(1, 12))
def test_lambert_w(bits):
    # W(x)·e^W(x) = x, checked without the function itself.
    alpha = laplace_clip(bits)
    assert alpha + np.log(alpha) == pytest.approx(np.log(3) + bits * np.log(4), rel=1e-14)


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize(("clip", "error"), [(laplace_clip, laplace_error), (gauss_clip, gauss_error)])
def test_numeric_minimum(bits, clip, error):
    best = minimize_scalar(lambda a: float(error(a, bits)), bounds=(0.1, 20), method="bounded")
    assert clip(bits) == pytest.approx(best.x, rel=1e-4)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("alpha", [0.7, 2.0, 5.0])
def test_errors_are_the_integrals_they_stand_for(bits, alpha):
    step = 2 * alpha / 2**bits

    def clipped(density):
        tail = quad(lambda x: 2 * (x - alpha) ** 2 * density(x), alpha, np.inf)[0]
        return tail + step**2 / 12

    assert laplace_error(alpha, bits) == pytest.approx(clipped(lambda x: np.exp(-x) / 2), rel=1e-6)
    normal = clipped(lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi))
    assert gauss_error(alpha, bits) == pytest.approx(normal, rel=1e-6)


@settings(PROFILE)
@given(
    st.integers(0, 10**6),
    st.integers(2, 5),
    st.sampled_from(["laplace", "gauss"]),
    st.floats(0.01, 100),
)
def test_clip_of_a_sample_of_its_law_is_the_law_s(seed, bits, law, size):
    rng = np.random.default_rng(seed)
    w = size * (rng.laplace(size=20_000) if law == "laplace" else rng.normal(size=20_000))
    grid = ACIQGrid(bits, law=law).fit(w)
    expected = size * (laplace_clip(bits) if law == "laplace" else gauss_clip(bits))
    assert grid.step * grid.levels == pytest.approx(min(expected, np.abs(w).max()), rel=0.05)


def test_gauss_error_is_close_to_the_best_clip_on_a_gauss_sample():
    w = np.random.default_rng(0).normal(size=50_000)

    def error(grid):
        return ((w - grid.nearest(w)) ** 2).mean()

    # ACIQ counts 2^M cells where the symmetric grid has 2^M − 1 levels: near the optimum, not on it.
    assert (
        error(MSEGrid(4).fit(w)) <= error(ACIQGrid(4, law="gauss").fit(w)) <= 1.1 * error(MSEGrid(4).fit(w))
    )


def test_range_never_exceeds_the_weights():
    w = np.array([-1.0, 1.0, 1.0, -1.0])
    grid = ACIQGrid(8).fit(w)
    assert grid.step * grid.levels == pytest.approx(1.0)
    assert ACIQGrid(8).fit([3.0, 3.0]).nearest([3.0]) == pytest.approx(3.0)


def test_half_range_is_one_bit_more():
    x = np.maximum(np.random.default_rng(0).laplace(size=50_000), 0)
    b = np.abs(x - x.mean()).mean()
    assert half_range_clip(x, 3) == pytest.approx(x.mean() + b * LAPLACE[3], rel=1e-5)
    assert half_range_clip(np.array([0.0, 1.0]), 8) == 1.0
    assert half_range_clip(np.zeros(0), 4) == 0.0


def test_worked_allocation():
    assert optimal_bins([2.8284565, 1.0], 32) == pytest.approx([21.33338, 10.66662], abs=1e-4)
    assert optimal_bins([0.0, 0.0], 8) == pytest.approx([4, 4])


@settings(PROFILE)
@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=30), st.integers(2, 8))
def test_allocation_keeps_the_quota_and_the_order(clips, bits):
    got = allocate_bits(clips, bits)
    assert got.mean() <= bits
    assert got.min() >= 2
    assert got.max() <= 8
    order = np.argsort(clips)
    assert (np.diff(got[order]) >= 0).all()
    if len(set(clips)) == 1:
        assert (got == bits).all()


def test_allocated_channels_have_smaller_error_than_even_ones():
    rng = np.random.default_rng(0)
    w = rng.laplace(size=(400, 8)) * 4.0 ** np.arange(8)
    grids = allocated_grids(w, 4)
    allocated = quantize_tensor(w, grids)
    even = quantize_tensor(w, ACIQGrid(4, per_channel=True))
    assert np.mean([grid.bits for grid in grids]) <= 4
    assert ((w - allocated.values) ** 2).sum() < ((w - even.values) ** 2).sum()


@pytest.mark.parametrize("std", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_correction_restores_the_moments_of_channels(std, per_channel):
    w = np.random.default_rng(0).normal(0.3, 1, size=(3, 3, 4, 6))
    tensor = quantize_tensor(w, ACIQGrid(2, per_channel))
    corrected = correct_channels(tensor, w, std)
    axes = (0, 1, 2)
    assert not np.allclose(tensor.values.mean(axes), w.mean(axes), atol=1e-3)
    assert np.allclose(corrected.values.mean(axes), w.mean(axes))
    assert np.array_equal(corrected.codes, tensor.codes)
    if std:
        assert np.allclose(corrected.values.std(axes), w.std(axes), rtol=1e-6)
    vector = quantize_tensor(w[0, 0, 0], ACIQGrid(2))
    assert correct_channels(vector, w[0, 0, 0]) is vector


def test_bad_clips_are_refused():
    with pytest.raises(ValueError, match="clips must be one-dimensional"):
        allocate_bits([[1.0]], 4)
    with pytest.raises(ValueError, match="last of two or more axes"):
        allocated_grids([1.0, 2.0], 4)
