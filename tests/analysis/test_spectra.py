"""Eigenvalues, trace and spectral density of matrices whose spectrum is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.analysis import extreme_eigenvalues, hutchinson_trace, spectral_density
from psgd_ref.analysis.spectral_density import lanczos


def matrix(eigenvalues, seed=0):
    n = len(eigenvalues)
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    return (basis * np.asarray(eigenvalues)) @ basis.T


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.integers(3, 60), st.integers(0, 99), st.integers(1, 2))
def test_extreme_eigenvalues_are_those_of_the_dense_matrix(n, seed, count):
    a = matrix(np.random.default_rng(seed).normal(size=n), seed)
    exact = np.linalg.eigvalsh(a)
    largest = extreme_eigenvalues(lambda v: a @ v, n, count, tolerance=1e-8)
    smallest = extreme_eigenvalues(lambda v: a @ v, n, count, end="smallest", tolerance=1e-8)
    assert np.allclose(largest, exact[::-1][:count], atol=1e-6)
    assert np.allclose(smallest, exact[:count], atol=1e-6)


def test_extreme_eigenvalues_repeat_and_refuse():
    a = matrix(np.arange(1.0, 31))
    runs = [extreme_eigenvalues(lambda v: a @ v, 30, seed=3) for _ in range(2)]
    assert np.array_equal(*runs)
    with pytest.raises(ValueError, match=r"count must be a whole number in 1\.\.29"):
        extreme_eigenvalues(lambda v: a @ v, 30, 30)
    with pytest.raises(ValueError, match="end must be one of largest, smallest"):
        extreme_eigenvalues(lambda v: a @ v, 30, end="middle")


def test_hutchinson_is_exact_for_a_diagonal_and_within_its_error_otherwise():
    rng = np.random.default_rng(0)
    diagonal = np.arange(1.0, 21)
    assert hutchinson_trace(lambda v: diagonal * v, 20, 2, rng) == (210.0, 0.0)
    a = matrix(diagonal)
    mean, error = hutchinson_trace(lambda v: a @ v, 20, 4000, rng)
    spread = np.sqrt(2 * (np.sum(a**2) - np.sum(np.diag(a) ** 2)) / 4000)
    assert abs(mean - 210) < 4 * spread
    assert error == pytest.approx(spread, rel=0.1)


@settings(deadline=None, derandomize=True, max_examples=15)
@given(st.integers(2, 25), st.integers(0, 99))
def test_lanczos_to_the_end_has_the_whole_spectrum(n, seed):
    eigenvalues = np.random.default_rng(seed).normal(size=n)
    diagonal, beside = lanczos(lambda v: matrix(eigenvalues) @ v, np.ones(n), n)
    t = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    assert np.allclose(np.linalg.eigvalsh(t), np.sort(eigenvalues), atol=1e-8)


def test_lanczos_stops_where_the_krylov_space_is_exhausted():
    diagonal, beside = lanczos(lambda v: 3 * v, np.ones(5), 4)
    assert np.allclose(diagonal, [3])
    assert beside.size == 0


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.integers(1, 6), st.integers(0, 99))
def test_the_quadrature_is_exact_for_polynomials(steps, seed):
    """A probe's moments up to 2·steps − 1 are zᵀAᵏz: Gauss's quadrature."""
    a = matrix(np.random.default_rng(seed).uniform(-1, 2, 30), seed)
    density = spectral_density(lambda v: a @ v, 30, steps, 1, np.random.default_rng(seed))
    z = np.random.default_rng(seed).standard_normal(30)
    z /= np.linalg.norm(z)
    for power in range(2 * steps):
        assert density.mean(power) == pytest.approx(z @ np.linalg.matrix_power(a, power) @ z, abs=1e-9)


def test_the_density_of_two_groups_of_eigenvalues():
    a = matrix(np.concatenate([np.zeros(150), np.full(50, 4.0)]))
    density = spectral_density(lambda v: a @ v, 200, 10, 40, np.random.default_rng(1))
    x = np.linspace(-3, 7, 2001)
    curve = density.smooth(x, 0.2)
    assert np.trapezoid(curve, x) == pytest.approx(1, abs=1e-6)
    # Standard deviation of the share over 40 probes: about 0.25·√(2·3/200)/√40 < 0.01.
    assert np.trapezoid(curve[x > 2], x[x > 2]) == pytest.approx(0.25, abs=0.03)
    assert density.mean() == pytest.approx(1, abs=0.12)
