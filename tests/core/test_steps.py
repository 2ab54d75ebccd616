"""The three steps: a worked example, dtypes, purity, intervals of the mirror step, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings

from psgd_ref.core import FiniteTargets, UniformGrid, Warp, Zero, mirror_step, psgd_step, warped_step
from psgd_ref.core.barrier import target_interval
from psgd_ref.laws.drawing.strategies import pushes, setups, target_sets

few = settings(deadline=None, derandomize=True, max_examples=60, database=None)
STEPS = [psgd_step, warped_step, mirror_step]


def test_worked_example():
    # Three bits: Δ = max|w|/3. The third weight lands on its target, the largest is frozen, 0.5 is a tie.
    w = np.array([0.30, -0.62, 0.05, 0.95, -1, 0.5])
    g = np.array([0.5, -0.2, 1, -0.3, 0.7, -0.4])
    warp = Warp(UniformGrid(np.abs(w).max() / 3, levels=3), eps=0.0, strength=10.0)
    d = [1 / 30, 0.14 / 3, 0.05, 0.05, 0, 1 / 6]
    np.testing.assert_allclose(warp.scale(w) / 10, d, atol=1e-15)
    expected = [0.85 / 3, -0.62 + 0.028 / 3, 0, 0.965, -1, 0.5 + 0.2 / 3]
    np.testing.assert_allclose(psgd_step(w, g, 0.1, warp), expected, atol=1e-15)


@few
@given(pushes(setups(target_sets(several=True), eps="zero")))
def test_mirror_step_keeps_its_interval(push):
    setting = push.setting
    low, high = target_interval(push.w, setting.targets)
    after = mirror_step(push.w, push.g, push.lr, setting.warp)
    error = 1e-12 * (np.abs(push.w) + setting.unit)
    assert ((after >= low - error) & (after <= high + error)).all()


@few
@given(pushes(setups(eps="positive"), largest=1.0))
def test_mirror_step_back_and_forth(push):
    """Φ′(w⁺) = Φ′(w) − ηg, so the opposite step undoes it when the gradient is the same."""
    warp, w = push.setting.warp, push.w
    there = mirror_step(w, push.g, push.lr, warp)
    back = mirror_step(there, -push.g, push.lr, warp)
    np.testing.assert_allclose(back, w, rtol=1e-9, atol=1e-8 * (push.setting.unit + np.abs(w).max()))


@pytest.mark.parametrize("share", [1 - 1e-16, 1.0, 1 + 2e-16])
def test_mirror_step_at_a_wall_whose_half_gap_rounds(share):
    targets = FiniteTargets([6.32455532, 9.48683298])
    warp = Warp(targets, 0.0, 1.0)
    w = np.array([(targets.values[0] + np.diff(targets.values)[0] / 2) * share])
    side = np.sign(w - targets.nearest(w))
    d = np.abs(w - targets.nearest(w))
    np.testing.assert_allclose(
        mirror_step(w, side, 1.0, warp), targets.nearest(w) + side * d * np.exp(-1), rtol=1e-12
    )


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("eps", [0.0, 0.01])
@pytest.mark.parametrize("cap", [False, True])
def test_dtype_shape_purity(step, dtype, eps, cap):
    w = np.array([[0.3, -0.2], [0.9, 2.2]], dtype)
    g = np.array([[1.0, -1.0], [0.5, 0.3]], dtype)
    before = w.copy(), g.copy()
    for targets in (UniformGrid(0.5, 2), FiniteTargets([-1, 0.2, 1])):
        after = step(w, g, 0.1, Warp(targets, eps, 1.0, cap))
        assert (after.dtype, after.shape) == (dtype, w.shape)
        exact = step(w.astype(float), g.astype(float), 0.1, Warp(targets, eps, 1.0, cap))
        np.testing.assert_allclose(
            after, exact, atol={np.float16: 1e-2, np.float32: 1e-5, np.float64: 0}[dtype]
        )
    np.testing.assert_array_equal(w, before[0])
    np.testing.assert_array_equal(g, before[1])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.1], [0.1, 0.2], 0.1), r"g must have the shape of w, \(1,\); got \(2,\)"),
        (([0.1], [np.nan], 0.1), "g must be finite"),
        (([np.inf], [0.1], 0.1), "w must be finite"),
        (([0.1], [0.1], -0.1), "lr must be a finite number >= 0; got -0.1"),
        (([0.1], [0.1], None), "lr must be a finite number >= 0; got None"),
    ],
)
def test_refusals(step, arguments, message):
    with pytest.raises(ValueError, match=message):
        step(*arguments, Warp(Zero()))
