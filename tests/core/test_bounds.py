"""Bounds and closed forms against integrals and plain sums, and their refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from psgd_ref.core import (
    FiniteTargets,
    UniformGrid,
    Warp,
    Zero,
    barrier,
    bounds,
    clustering,
    curvature,
    discretization,
    position_scale,
)
from psgd_ref.core import reparametrisation as rep
from psgd_ref.laws.drawing.strategies import placed, powers, setups, target_sets

few = settings(deadline=None, derandomize=True, max_examples=40, database=None)
NAMES = ["psgd", "warp", "mirror"]


@few
@given(placed(setups(target_sets(several=True))))
def test_target_interval(at):
    low, high = barrier.target_interval(at.w, at.setting.targets)
    nearest = at.setting.targets.nearest(at.w)
    assert ((low <= at.w) & (at.w <= high)).all()
    assert ((low == nearest) | (high == nearest)).all()
    points = at.setting.points
    strictly_inside = ((points > low[:, None]) & (points < high[:, None])).any()
    assert not strictly_inside


@few
@given(st.floats(0, 4), st.floats(0.01, 3.99), powers(-1, 1), st.booleans(), st.sampled_from([-1, 1]))
def test_mirror_divergence_is_the_integral(to, start, strength, cap, side):
    """Between the targets 0 and 1, and beyond 1 where the grid ends, where it matters whether s is capped."""
    grid = UniformGrid(1.0, 1)
    inside = start < 1
    to, start = (
        (min(to, 1.0) if inside else max(to, 1.0)) * side,
        max(start, 1.01) * side if not inside else start * side,
    )
    kinks = [side * 0.5] if inside else [side * 1.5]
    expected = quad(
        lambda x: (to - x) / position_scale([x], grid, 0.0, strength, cap)[0],
        start,
        to,
        points=kinks,
        limit=200,
    )[0]
    found = barrier.mirror_divergence([to], [start], grid, strength, cap)
    assert found == pytest.approx(expected, abs=1e-6, rel=1e-6)


def test_mirror_divergence_adds_up_and_refuses():
    targets = FiniteTargets([-1.0, 0.0, 0.3])
    parts = [barrier.mirror_divergence([a], [b], targets) for a, b in ((-0.9, -0.2), (0.3, 0.1), (2.0, 0.5))]
    whole = barrier.mirror_divergence([-0.9, 0.3, 2.0, 0.0], [-0.2, 0.1, 0.5, 0.0], targets)
    assert whole == pytest.approx(sum(parts))
    with pytest.raises(ValueError, match="between the same neighbouring targets"):
        barrier.mirror_divergence([0.2], [-0.2], targets)
    with pytest.raises(ValueError, match="cap needs at least two targets"):
        barrier.mirror_divergence([0.2], [0.3], Zero(), cap=True)


def test_scale_slope_has_kinks_at_targets_and_caps():
    grid = UniformGrid(1.0, 1)
    w = [-3.0, -1.2, -0.8, 0.0, 0.2, 1.2, 3.0]
    assert discretization.scale_slope(w, Warp(grid, strength=2.0)).tolist() == [-2, -2, 2, 0, 2, 2, 2]
    assert discretization.scale_slope(w, Warp(grid, strength=2.0, cap=True)).tolist() == [
        0,
        -2,
        2,
        0,
        2,
        2,
        0,
    ]
    assert curvature.inverse_curvature([0.2], Warp(grid, strength=2.0)).tolist() == [1]


def test_stays_between_targets():
    assert barrier.stays_between_targets([0.9, -1.1], 0.5, 2.0).tolist() == [True, False]


def test_numbers_of_chapter_d():
    assert bounds.largest_scale(0.5, 0.25, 4.0) == 2.0
    assert bounds.largest_step(4.0, 0.5) == 0.5
    assert bounds.descent_bound([1.0, 2.0], [0.5, 0.25], 0.2) == pytest.approx(0.15)
    assert bounds.rate_bound(3.0, 0.1, 10) == 6.0
    assert bounds.gradient_rate_bound(3.0, 0.1, 10, 0.5, 2.0) == 6.0
    assert bounds.pl_rate(0.1, 0.5, 2.0, 0.3) == pytest.approx(0.97)
    assert bounds.local_contraction(0.1, 0.5, 2.0, 3.0, 0.25) == pytest.approx(0.55)
    assert bounds.stochastic_bound(3.0, 0.1, 10, 2.0, 0.5, 4.0) == pytest.approx(6.2)
    assert barrier.box_bound(3.0, 6.0) == 0.5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("eps", [1e-4, 0.05, 2.0])
def test_stationary_density(name, eps):
    def density(x):
        return float(clustering.stationary_density(x, 0.5, eps, name))

    near = [0.0, -eps, eps, -20 * eps, 20 * eps] if eps < 0.02 else [0.0]
    assert quad(density, -0.5, 0.5, points=near, limit=400)[0] == pytest.approx(1, rel=1e-8)
    half = quad(density, -0.5, 0.2, points=[p for p in near if p < 0.2], limit=400)[0]
    assert clustering.stationary_cdf(0.2, 0.5, eps, name) == pytest.approx(half, rel=1e-8)
    assert density(0.6) == 0
    log = clustering.stationary_log_density([0.1, 0.3], eps, 2.0, 0.0, 0.1, 1.0, name)
    assert np.exp(log[1] - log[0]) == pytest.approx(density(0.3) / density(0.1))


def test_expected_squared_error_meets_its_series():
    # Both branches at the seam, and the limits of a small and a large ε.
    below, above = (clustering.expected_squared_error(0.01 * (1 + s), 1.0) for s in (-1e-9, 1e-9))
    assert below == pytest.approx(above, rel=1e-8)
    assert clustering.expected_squared_error(1.0, 1e6) == pytest.approx(1 / 3, rel=1e-5)
    assert clustering.expected_squared_error(1.0, 1e-6) == pytest.approx(1e-6, rel=1e-3)


def test_weight_decay():
    np.testing.assert_allclose(clustering.soft_threshold([3.0, -3.0, 0.5, -0.5], 1.0), [2, -2, 0, 0])
    d = clustering.decay_equilibrium(-2.0, 0.5, 4.0, 0.1)
    assert d == pytest.approx(0.1 * (2 - d) / (4 * 0.5))


def test_curvature():
    warp = Warp(UniformGrid(1.0), 0.1, 2.0)
    w, h = np.array([0.2, 0.9]), np.array([[2.0, 1.0], [1.0, 3.0]])
    s = np.array([0.6, 0.4])
    expected = np.sqrt(np.outer(s, s)) * h + np.diag([1.0, -1.0])
    np.testing.assert_allclose(curvature.warped_hessian(h, [1.0, 1.0], w, warp), expected)
    np.testing.assert_allclose(
        curvature.psgd_linearisation(h, w, 0.5, warp), np.eye(2) - 0.5 * s[:, None] * h
    )
    assert curvature.largest_stable_step(np.zeros((2, 2))) == np.inf
    assert curvature.largest_stable_step(np.diag([0.0, 4.0])) == 0.5
    assert curvature.largest_stable_step(np.diag([-1e-3, 4.0])) == 0  # a saddle: no step size is stable
    assert curvature.largest_stable_step(-np.eye(2)) == 0
    assert curvature.largest_stable_curvature(0.1, 0.5, 2.0) == pytest.approx(20)
    assert curvature.quantization_loss(h, [1.0, 2.0], [0.1, 0.0]) == pytest.approx(0.11)


def test_decay_equilibrium_and_what_it_refuses():
    assert clustering.decay_equilibrium(1.0, -0.5, 2.0, 0.25) == pytest.approx(0.2)
    assert clustering.decay_equilibrium(-1.0, 0.5, 2.0, 0.25) == pytest.approx(0.2)
    assert clustering.decay_equilibrium(1.0, -0.5, 2.0, 0.25, eps=0.1) == pytest.approx(0.15 / 1.25)
    # κ|w̄| = 0.01 < λε|g| = 0.1: from just below the target the weight leaves it outwards.
    warp, w = Warp(UniformGrid(1.0, 3), 0.1, 1.0, cap=True), 0.8
    for _ in range(200):
        w = w - 0.05 * (warp.scale([w])[0] * -1.0 + 0.01 * w)
    assert w > 3
    with pytest.raises(
        ValueError, match=r"outweighs κ\|w̄\| = 0.01, and the weight leaves its target outwards"
    ):
        clustering.decay_equilibrium(1.0, -1.0, 1.0, 0.01, eps=0.1)
    for gradient in (0.5, 0.0):
        with pytest.raises(ValueError, match="gradient must push away from zero"):
            clustering.decay_equilibrium(1.0, gradient, 1.0, 0.1)


def test_volume_factor():
    warp = Warp(UniformGrid(1.0), 0.0, 4.0)
    assert bounds.volume_factor([0.25, 0.0625], warp) == pytest.approx(1 * 2)
    assert bounds.volume_factor([0.0], warp) == np.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: discretization.second_order_coefficient("euler"),
            "discretisation must be one of psgd, warp, mirror",
        ),
        (
            lambda: discretization.decay_ratio([0.1], "sgd"),
            "discretisation must be one of psgd, warp, mirror; got 'sgd'",
        ),
        (lambda: bounds.rate_bound(1.0, 0.1, 0), "steps must be a whole number >= 1; got 0"),
        (
            lambda: bounds.gradient_rate_bound(1.0, 0.1, 1, 0.0, 1.0),
            "eps must be a finite number > 0; got 0.0",
        ),
        (lambda: bounds.largest_step(0.0, 1.0), "smoothness must be a finite number > 0; got 0.0"),
        (lambda: bounds.descent_bound([1.0], [1.0, 2.0], 0.1), "scale must have the shape of g"),
        (
            lambda: discretization.warp_remainder([1.0], [1.0, 2.0], 0.1, Warp(Zero())),
            "g must have the shape",
        ),
        (lambda: barrier.box_bound(1.0, 0.0), "time must be a finite number > 0"),
        (lambda: clustering.stationary_density(0.1, 0.5, 0.0), "eps must be a finite number > 0; got 0.0"),
        (lambda: clustering.expected_squared_error(0.0, 1.0), "half must be a finite number > 0"),
        (
            lambda: curvature.warped_hessian(np.eye(2), [1.0], [1.0], Warp(Zero())),
            r"hessian must be \(n, n\)",
        ),
        (lambda: curvature.quantization_loss([1.0], [1.0], [1.0]), r"hessian must be \(n, n\)"),
        (lambda: rep.general_scale([[1.0, 2.0]]), "jacobian must be square"),
        (lambda: rep.general_scale(np.zeros((2, 2))), "jacobian must be invertible"),
        (lambda: rep.powerpropagation_scale([0.0], 0.5), r"alpha must be a finite number >= 1; got 0.5"),
        (lambda: rep.powerpropagation_alpha(2.0), r"power must be a number in \[0, 2\); got 2.0"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()
