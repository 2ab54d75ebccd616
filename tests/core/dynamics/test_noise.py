"""Escape, equivalent decay, bias and batch norm's invariant: by hand and by integral."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from psgd_ref.core import FiniteTargets, UniformGrid, Warp, Zero
from psgd_ref.core.dynamics.escape import effective_diffusion, escape_time
from psgd_ref.core.dynamics.invariant import filter_invariant
from psgd_ref.core.dynamics.noise import noise_bias, noise_decay

few = settings(deadline=None, derandomize=True, max_examples=30, database=None)


@pytest.mark.parametrize(("name", "q"), [("psgd", 2), ("warp", 1.5), ("mirror", 1)])
def test_diffusion_by_quadrature(name, q):
    gap, eps, strength, lr, variance = 2.0, 0.3, 1.5, 0.01, 4.0
    slow, fast = (quad(lambda d, p=p: (strength * (d + eps)) ** p, 0, 1)[0] for p in (-q, q - 2))
    expected = lr**2 * variance / (slow * fast)
    assert effective_diffusion(gap, eps, strength, lr, variance, name) == pytest.approx(expected)
    assert escape_time(gap, eps, strength, lr, variance, name) == pytest.approx(4 / expected)


def test_noise_by_hand():
    assert noise_decay(0.1, 2.0, 3.0) == pytest.approx(0.6)
    assert noise_bias(0.1, 2.0, 3.0, 0.5) == pytest.approx(0.6)
    with pytest.raises(ValueError, match="curvature must be a finite number > 0"):
        noise_bias(0.1, 2.0, 3.0, 0.0)
    with pytest.raises(ValueError, match="eps must be a finite number > 0"):
        escape_time(1.0, 0.0, 1.0, 0.1, 1.0)


@few
@given(
    st.floats(-2.4, 2.4),
    st.sampled_from([UniformGrid(1.0), UniformGrid(0.5, 2), FiniteTargets([-1.0, 0.0, 0.6]), Zero()]),
    st.booleans(),
)
def test_invariant_is_the_integral(w, targets, cap):
    warp = Warp(targets, 0.05, 3.0, cap and np.isfinite(targets.mean_gap()))
    kinks = np.concatenate([np.arange(-2.25, 2.3, 0.25), [0.3, 0.6, 0.9]])
    area = quad(lambda x: x / warp.scale([x])[0], 0, w, points=kinks, limit=300)[0]
    found = filter_invariant([w, 0.0], warp)
    assert found[0] - found[1] == pytest.approx(area, abs=1e-6)


def test_invariant_at_zero_eps():
    assert filter_invariant([-1.0, 0.5], Warp(Zero(), strength=2.0)).tolist() == [0.5, 0.25]
    with pytest.raises(ValueError, match="eps must be > 0 where there are targets other than zero"):
        filter_invariant([0.1], Warp(UniformGrid(1.0)))
