"""AdaptivFloat against the paper's matrix, brute force over all (n, e), and the bits of its codes."""

import numpy as np
import pytest

from psgd_ref.compress import AdaptivFloatGrid, quantize_tensor
from psgd_ref.compress.grids.adaptivfloat import magnitudes

# The example of the paper (from memory; the values are computed) in the format ⟨4, 2⟩.
MATRIX = np.array(
    [
        [-1.17, 2.71, -1.60, 0.43],
        [-1.14, 2.05, 1.01, 0.07],
        [0.16, -0.03, -0.89, -0.87],
        [-0.04, -0.39, 0.64, -2.89],
    ]
)
ROUNDED = np.array([[-1, 3, -1.5, 0.375], [-1, 2, 1, 0], [0, 0, -1, -0.75], [0, -0.375, 0.75, -3]])
FORMATS = [(n, e) for n in range(2, 10) for e in range(1, min(n - 1, 5) + 1)]


def decoded(n, e, largest):
    """Every value from its bit pattern: sign, e exponent bits, the rest mantissa; code 0 is zero."""
    m, bias = n - 1 - e, np.floor(np.log2(largest)) - (2**e - 1)
    values = []
    for code in range(2 ** (n - 1)):
        exponent, mantissa = code >> m, code & (2**m - 1)
        values.append(0.0 if code == 0 else 2.0 ** (exponent + bias) * (1 + mantissa / 2**m))
    return np.array(values)


def test_worked_matrix():
    tensor = quantize_tensor(MATRIX, AdaptivFloatGrid(4, exponent_bits=2))
    assert np.array_equal(tensor.values, ROUNDED)
    assert np.array_equal(tensor.levels[7:], [0, 0.375, 0.5, 0.75, 1, 1.5, 2, 3])
    assert tensor.codes.min() == -7
    assert tensor.codes.max() == 7


@pytest.mark.parametrize(("n", "e"), FORMATS)
def test_values_are_those_of_the_bit_patterns(n, e):
    got = magnitudes(n, e, 1)
    assert np.array_equal(got, decoded(n, e, 2.89))
    assert len(got) == 2 ** (n - 1)


@pytest.mark.parametrize(("n", "e"), FORMATS)
def test_nearest_by_brute_force(n, e):
    rng = np.random.default_rng(n * 10 + e)
    w = rng.normal(size=400) * 2.0 ** rng.integers(-8, 3, size=400)
    values = decoded(n, e, np.abs(w).max())
    every = np.concatenate([-values, values])
    got = AdaptivFloatGrid(n, exponent_bits=e).fit(w).nearest(w)
    assert np.isin(got, every).all()
    assert np.allclose(np.abs(got - w), np.abs(w[:, None] - every).min(axis=1), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("n", "e"), FORMATS)
def test_rule_of_the_paper_s_code(n, e):
    """Flush below half the smallest value, raise to it above, clamp, round the mantissa half to even."""
    m = n - 1 - e
    rng = np.random.default_rng(e)
    w = rng.normal(size=300) * 2.0 ** rng.integers(-8, 3, size=300)
    top = np.floor(np.log2(np.abs(w).max()))
    smallest = 2.0 ** (top - 2**e + 1) * (1 + 2.0**-m)
    x = np.abs(w)
    x = np.where(x < smallest / 2, 0, np.where(x < smallest, smallest, x))
    x = np.minimum(x, 2.0**top * (2 - 2.0**-m))
    power = 2.0 ** np.floor(np.log2(np.where(x > 0, x, 1)))
    expected = np.sign(w) * power * np.round(x / power * 2**m) / 2**m
    got = AdaptivFloatGrid(n, exponent_bits=e).fit(w).nearest(w)
    assert np.allclose(got, expected, rtol=0, atol=1e-15)


def test_worked_sizes():
    assert np.array_equal(magnitudes(4, 3, 0), [0, *2.0 ** np.arange(-6, 1)])
    assert len(magnitudes(8, 3, 0)) == 128


@pytest.mark.parametrize(("bits", "width"), [(2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (16, 3)])
def test_default_exponent_width(bits, width):
    assert AdaptivFloatGrid(bits).exponent_width == width


def test_released_variant_has_two_binades_fewer():
    values = magnitudes(8, 3, 0, "released")
    assert values[0] == 0
    assert values[1] == 2.0**-5
    assert len(values) == 1 + 6 * 2**4
    assert values.max() == magnitudes(8, 3, 0).max()


@pytest.mark.parametrize("largest", [1.0, 2.0, np.nextafter(2.0, 0), 0.5, 3.99])
def test_largest_exponent_is_exact_at_powers_of_two(largest):
    levels = AdaptivFloatGrid(4).fit([largest]).values
    assert levels.max() == 1.5 * 2.0 ** np.floor(np.log2(largest))
