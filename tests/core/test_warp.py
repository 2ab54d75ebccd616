"""The warp and its scale: inverse, continuity, the cap, dtypes, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.core import FiniteTargets, UniformGrid, Warp, Zero, position_scale, volume_strength
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.strategies import placed, setups, target_sets, uneven_targets

few = settings(deadline=None, derandomize=True, max_examples=60, database=None)
several = setups(target_sets(several=True))


@few
@given(placed(setups()))
def test_inverse(at):
    warp = at.setting.warp
    assert (np.abs(warp.inverse(warp(at.w)) - at.w) <= rounding.in_weights(warp, at.w)).all()


@few
@given(several, st.integers(0, 1))
def test_continuous_at_walls_and_caps(setting, end):
    warp, points = setting.warp, setting.points
    wall = (points[:-1] + points[1:]) / 2
    if setting.cap:
        wall = np.append(wall, 2 * points[-end] - wall[-end])
    h = 1e-9 * setting.unit
    error = 1e-6 * np.diff(warp(points)).min() + 1e-13 * np.abs(warp(points)).max()
    scale = warp.scale(np.array([wall - h, wall + h]))
    np.testing.assert_allclose(warp(wall + h) - warp(wall - h), 2 * h / np.sqrt(scale.mean(0)), atol=error)
    np.testing.assert_allclose(scale[0], scale[1], rtol=1e-5)
    # Without a cap s goes on growing beyond the outermost target; elsewhere the wall is its largest value.
    assert (warp.scale(wall - 1e3 * h) <= warp.scale(wall) * (1 + 1e-9)).all()


@few
@given(placed(setups()))
def test_scale_times_square_slope(at):
    warp = at.setting.warp
    s = warp.scale(at.w)
    positive = s > 1e-280
    np.testing.assert_allclose(
        (s * np.where(positive, warp.derivative(at.w), 1) ** 2)[positive], 1, rtol=1e-14
    )
    assert np.isinf(warp.derivative(at.w)[s == 0]).all()


def test_values_worked_by_hand():
    warp = Warp(UniformGrid(2.0), eps=0.0, strength=4.0)
    # f(w) = √d on either side of a target, and each target is ℓ = 2 further.
    np.testing.assert_allclose(warp([0.25, 1.0, 1.75, 2.0, 3.0, -0.25]), [0.5, 1, 1.5, 2, 3, -0.5])
    np.testing.assert_allclose(warp.scale([0.25, 1.0, 1.75, 2.0]), [1, 4, 1, 0])
    uneven = Warp(FiniteTargets([0.0, 0.5, 4.5]), eps=0.0, strength=4.0)
    np.testing.assert_allclose(uneven([0.5, 4.5, 2.5]), [1, 1 + 2 * np.sqrt(2), 1 + np.sqrt(2)])


def test_volume_strength_keeps_the_whole_range_of_an_uneven_set():
    targets = FiniteTargets([-1.0, 0.2, 0.5, 3.0])
    warp = Warp(targets, eps=0.01, strength="volume")
    assert np.ptp(warp(targets.values)) == pytest.approx(4.0, rel=1e-12)
    assert warp.strength == volume_strength(targets, 0.01)


@few
@given(placed(setups(uneven_targets(2), cap=True), beyond=50.0))
def test_cap_bounds_the_scale(at):
    setting = at.setting
    top = setting.strength * (setting.widest / 2 + setting.eps)
    assert (setting.warp.scale(at.w) <= top * (1 + 1e-12)).all()
    np.testing.assert_allclose(
        setting.warp.inverse(setting.warp(at.w)), at.w, rtol=1e-7, atol=1e-9 * setting.unit
    )


@pytest.mark.parametrize("rule", ["mean-one", "unimodular", "max-normalised"])
def test_rules_with_nothing_to_divide_by(rule):
    assert position_scale(np.zeros(0), UniformGrid(1.0), strength=rule).shape == (0,)
    if rule != "unimodular":
        assert position_scale([0.0, 1.0], UniformGrid(1.0), strength=rule).tolist() == [0, 0]


@few
@given(placed(setups(eps="zero"), size=3), st.integers(0, 2))
def test_the_unimodular_rule_is_refused_where_no_strength_can_be(at, which):
    """One weight on its target at ε = 0: the product of the scales is 0 at every strength."""
    w = at.w.copy()
    w[which] = at.setting.targets.nearest(w[which])
    with pytest.raises(ValueError, match="'unimodular' needs eps > 0 or every weight off its target; "):
        position_scale(w, at.setting.targets, strength="unimodular", cap=at.setting.cap)


def test_rules():
    w, grid = np.array([0.1, 0.2, 0.4]), UniformGrid(1.0)
    assert position_scale(w, grid, 0.1, "mean-one").mean() == pytest.approx(1)
    assert np.log(position_scale(w, grid, 0.1, "unimodular")).mean() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(position_scale(w, grid, 0.0, "max-normalised"), [0.25, 0.5, 1])
    np.testing.assert_allclose(position_scale(w, grid, 0.0, "volume"), 8 * w)
    np.testing.assert_allclose(position_scale(w, grid, 0.5, 2.0), 2 * (w + 0.5))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("cap", [False, True])
def test_dtype_is_kept(dtype, cap):
    w = np.array([-0.8, 0.1, 0.3, 1.2], dtype)
    for targets in (UniformGrid(0.5), UniformGrid(0.5, 1), FiniteTargets([-1, 0, 0.5])):
        for eps in (0.0, 0.1):
            warp = Warp(targets, eps, 2.0, cap)
            y = warp(w)
            assert (
                y.dtype == warp.inverse(y).dtype == warp.scale(w).dtype == warp.derivative(w).dtype == dtype
            )
            tolerance = {np.float16: 1e-2, np.float32: 1e-5, np.float64: 1e-14}[dtype]
            np.testing.assert_allclose(warp.inverse(y), w, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Warp(Zero(), eps=-1), "eps must be a finite number >= 0; got -1"),
        (lambda: Warp(Zero(), strength=0), "strength must be a finite number > 0; got 0"),
        (lambda: Warp(Zero(), strength="volum"), "strength of a warp must be one of volume; got 'volum'"),
        (lambda: Warp(Zero(), strength="volume"), "strength 'volume' needs at least two targets"),
        (lambda: Warp(Zero(), cap=True), "cap needs at least two targets"),
        (lambda: Warp(Zero())([np.inf]), "w must be finite"),
        (lambda: Warp(Zero()).inverse(["x"]), "y must be an array of real numbers"),
        (
            lambda: position_scale([0.0], Zero(), strength=-1.0),
            "strength must be a finite number >= 0; got -1.0",
        ),
        (lambda: position_scale([0.0], Zero(), strength="x"), "strength must be one of volume, mean-one"),
        (lambda: position_scale([np.nan], Zero()), "w must be finite"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
