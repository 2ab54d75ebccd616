"""Hard-concrete gates: the worked probabilities, the law of the samples, and their derivative."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psgd_ref.compress.hard_concrete import SHIFT, gate, median, probability_on, uniform


def test_worked_probabilities():
    assert pytest.approx(1.598597, abs=1e-6) == SHIFT
    on, _ = probability_on(np.array([6.0, 0.0, -6.0]))
    assert on == pytest.approx([0.999499, 0.831822, 0.012112], abs=1e-6)


@pytest.mark.parametrize("phi", [-2.0, 0.0, 3.0])
def test_samples_are_on_as_often_as_the_closed_form_says(phi):
    u = (np.arange(100_000) + 0.5) / 100_000
    z, _ = gate(np.full(u.shape, phi), u)
    assert np.mean(z > 0) == pytest.approx(probability_on(np.array(phi))[0], abs=2e-5)
    assert z.min() >= 0
    assert z.max() <= 1


@given(phi=st.floats(-4, 4), u=st.floats(0.01, 0.99))
def test_derivatives_are_difference_quotients(phi, u):
    h, at = 1e-6, np.array(phi)
    ends = [gate(at + side * h, np.array(u))[0] for side in (-1, 1)]
    # A corner of the clip may lie between the two ends.
    if all(0 < end < 1 for end in ends) or ends[0] == ends[1]:
        assert gate(at, np.array(u))[1] == pytest.approx((ends[1] - ends[0]) / (2 * h), abs=1e-6)
    difference = (probability_on(at + h)[0] - probability_on(at - h)[0]) / (2 * h)
    assert probability_on(at)[1] == pytest.approx(difference, abs=1e-6)


@pytest.mark.parametrize("u", [0.0, 1.0])
def test_the_ends_of_the_unit_interval_are_finite(u):
    z, slope = gate(np.zeros(3, np.float32), np.full(3, u))
    assert z.dtype == slope.dtype == np.float32
    assert np.array_equal(z, np.full(3, u))
    assert np.array_equal(slope, np.zeros(3))


def test_without_noise_the_gate_is_that_of_the_middle_of_the_law():
    phi = np.linspace(-4, 4, 9)
    assert median(phi)[4] == pytest.approx(0.5)
    assert np.all(np.diff(median(phi)) >= 0)


def test_noise_depends_on_seed_and_count_alone():
    assert np.array_equal(uniform(1, 2, (3, 4)), uniform(1, 2, (3, 4)))
    assert not np.array_equal(uniform(1, 2, (3, 4)), uniform(1, 3, (3, 4)))
    assert not np.array_equal(uniform(1, 2, (3, 4)), uniform(2, 2, (3, 4)))
