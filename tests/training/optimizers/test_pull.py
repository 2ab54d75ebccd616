"""Decay to the grid and the rivals that pull without a scale, each against formulas weight by weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.compress.selection import assign
from psgd_ref.core import FiniteTargets, UniformGrid, Zero
from psgd_ref.models import mlp
from psgd_ref.training import PARQ, PSGD, ProxQuant, QuadraticPull, ramp
from psgd_ref.training.optimizers.arrays import step_arrays
from psgd_ref.training.optimizers.links.proximal import piecewise_affine
from psgd_ref.training.optimizers.schedules import falling, scaled

weights = arrays(np.float64, 5, elements=st.floats(-2.5, 2.5))
gradients = arrays(np.float64, 5, elements=st.floats(-3, 3))
GRID = UniformGrid(1.0, 1)


def nearest(w):
    """The nearest of −1, 0, 1, in plain Python; halves go to the even one."""
    return max(-1, min(1, round(w)))


@given(weights, gradients, st.floats(0, 2), st.floats(0, 0.3), st.booleans())
def test_psgd_with_decay_to_the_grid_by_hand(w, g, decay, eps, cap):
    optimizer = PSGD(0.1, 0.0, decay, GRID, eps, 2.0, cap, decay_target="grid")
    found = step_arrays(optimizer, w, g)
    for before, slope, after in zip(w, g, found, strict=True):
        d = abs(before - nearest(before))
        scale = 2.0 * ((min(d, 0.5) if cap else d) + eps)
        want = before - 0.1 * (scale * slope + decay * (before - nearest(before)))
        assert after == pytest.approx(want, abs=1e-12)


@given(weights, gradients, st.floats(0, 2))
def test_decay_inside_the_scale_is_scaled(w, g, decay):
    one = PSGD(0.1, 0.0, decay, GRID, 0.1, 2.0, decay_order="scaled", decay_target="grid")
    pull = np.array([value - nearest(value) for value in w])
    other = PSGD(0.1, 0.0, 0.0, GRID, 0.1, 2.0)
    assert np.allclose(step_arrays(one, w, g), step_arrays(other, w, g + decay * pull), atol=1e-12)


@pytest.mark.parametrize("discretization", ["warp", "mirror"])
def test_in_other_coordinates_the_pull_acts_on_the_weights_in_front_of_the_move(discretization):
    w, g = np.array([0.3, -0.8, 1.4]), np.array([0.5, 1.0, -2.0])
    options = {"discretization": discretization}
    pulled = w - 0.1 * 0.5 * np.array([value - nearest(value) for value in w])
    found = step_arrays(PSGD(0.1, 0.0, 0.5, GRID, 0.1, 2.0, decay_target="grid", **options), w, g)
    # The direction is scaled at w, the move starts at the pulled weights.
    if discretization == "mirror":
        want = step_arrays(PSGD(0.1, 0.0, 0.0, GRID, 0.1, 2.0, **options), pulled, g)
        assert np.allclose(found, want, atol=1e-12)
    still = step_arrays(PSGD(0.1, 0.0, 0.5, GRID, 0.1, 2.0, decay_target="grid", **options), w, 0 * g)
    assert np.allclose(still, pulled, atol=1e-12)


@given(weights, gradients, st.floats(0, 2))
def test_the_quadratic_pull_by_hand(w, g, pull):
    found = step_arrays(QuadraticPull(0.1, 0.0, 0.0, GRID, pull), w, g)
    want = [x - 0.1 * (slope + pull * (x - nearest(x))) for x, slope in zip(w, g, strict=True)]
    assert np.allclose(found, want, atol=1e-12)


@given(weights, gradients, st.floats(0, 4))
def test_proxquant_minimises_what_a_proximal_map_does(w, g, penalty):
    """argmin_x ½(x − u)² + ηp|x − x̄| over a fine grid of its own cell, u = w − ηg."""
    found = step_arrays(ProxQuant(0.1, 0.0, 0.0, GRID, penalty), w, g)
    for u, x in zip(w - 0.1 * g, found, strict=True):
        target = nearest(u)
        tried = np.append(np.linspace(target - 2, target + 2, 4001), target)
        cost = 0.5 * (tried - u) ** 2 + 0.1 * penalty * np.abs(tried - target)
        assert abs(x - tried[np.argmin(cost)]) <= 1.1e-3


def test_proxquants_fixed_points_are_those_of_the_penalised_loss_with_momentum():
    """½(w − c)² + p|w − w̄|: soft threshold about the target, whatever the momentum."""
    c, penalty = np.array([0.05, 0.2, 0.85, -0.3]), 0.1
    model = mlp((2, 2), dtype=np.float64)
    model.w[...] = 0
    model.w[:4] = c
    optimizer = ProxQuant(0.05, 0.9, 0.0, UniformGrid(1.0, 3), penalty)
    state = optimizer.init(model)
    for _ in range(600):
        model.g[:4] = model.w[:4] - c
        optimizer.update(model, state)
    offset = c - np.rint(c)
    want = np.rint(c) + np.sign(offset) * np.maximum(np.abs(offset) - penalty, 0)
    assert np.allclose(model.w[:4], want, atol=1e-8)


@given(arrays(np.float64, 9, elements=st.floats(-3, 3)), st.floats(0.01, 1))
def test_the_piecewise_affine_map(u, slope):
    for targets in (UniformGrid(1.0, 2), FiniteTargets(np.array([-1.5, 0.0, 0.5, 2.0]))):
        w = piecewise_affine(u, targets, slope)
        values = np.unique(targets.nearest(np.linspace(-4, 4, 400)))
        for before, after in zip(u, w, strict=True):
            below, above = values[values <= before], values[values >= before]
            if below.size == 0 or above.size == 0:
                assert after == (values[0] if below.size == 0 else values[-1])
                continue
            a, b = below[-1], above[0]
            middle = (a + b) / 2
            assert after == pytest.approx(min(max(middle + (before - middle) / slope, a), b), abs=1e-9)
    assert np.array_equal(piecewise_affine(u, GRID, 0.0), GRID.nearest(u))


def test_parq_ends_on_the_grid_and_its_gradient_is_that_of_the_image():
    model = mlp((3, 4, 2), dtype=np.float64, seed=1)
    optimizer = PARQ(0.1, 0.0, 0.0, MSEGrid(4), steps=6)
    state, latent, seen = optimizer.init(model), model.w.copy(), []
    rng = np.random.default_rng(0)
    for _ in range(8):
        model.g[...] = rng.normal(size=model.w.size)
        seen.append(model.w.copy())
        latent -= 0.1 * model.g
        optimizer.update(model, state)
        assert np.allclose(state["proximal.latent"], latent, atol=1e-12)
    assert np.array_equal(seen[0], mlp((3, 4, 2), dtype=np.float64, seed=1).w)
    for segment, grid in assign(model, MSEGrid(4)):
        w, u = segment.view(model.w), segment.view(latent)
        assert np.allclose(w, grid.fit(u).nearest(u), atol=1e-12)


@pytest.mark.parametrize("at", [0.0, 0.4, 1.0])
def test_the_gradient_is_taken_on_the_way_to_the_targets(at):
    model = mlp((3, 4, 2), dtype=np.float64, seed=1)
    optimizer = PSGD(0.1, grid=MinMaxGrid(4), gradient_at=at)
    state, before = optimizer.init(model), model.w.copy()
    want = before.copy()
    for segment, grid in assign(model, MinMaxGrid(4)):
        w = segment.view(before)
        segment.view(want)[...] = (1 - at) * w + at * grid.fit(w).nearest(w)
    with optimizer.displaced(model, state):
        assert np.allclose(model.w, want, atol=1e-12)
    assert model.w.tobytes() == before.tobytes()


def test_a_learned_grid_is_the_least_squares_step_of_the_codes():
    model = mlp((3, 4, 2), dtype=np.float64, seed=1)
    optimizer = PSGD(0.0, grid=MSEGrid(4), refresh="learned", cap=True, weight_decay=0.1, decay_target="grid")
    state = optimizer.init(model)
    steps = [grid.fit(segment.view(model.w)).step for segment, grid in assign(model, MSEGrid(4))]
    optimizer.update(model, state)
    for (segment, _), step, learned in zip(
        assign(model, MSEGrid(4)), steps, state["0.grid_step"], strict=True
    ):
        w = segment.view(model.w).ravel()
        codes = np.array([max(-7, min(7, round(x / step))) for x in w])
        if codes.any():
            assert learned == pytest.approx(sum(w * codes) / sum(codes * codes), rel=1e-12)


def test_schedules_of_the_pull():
    assert [ramp(0.2, 4, 2.0)(k) for k in (0, 2, 4, 8)] == [0, 0.05, 0.2, 0.2]
    assert [ramp(0.0, 4, start=0.1)(k) for k in (0, 2, 4)] == pytest.approx([0.1, 0.05, 0])
    assert [ramp(0.3, 2, start=0.1, after=3)(k) for k in (0, 3, 4, 5, 9)] == pytest.approx(
        [0.1, 0.1, 0.2, 0.3, 0.3]
    )
    assert [falling(10)(k) for k in (5, 10, 11)] == [0.5, 0, 0]
    assert falling(10)(0) > 0.99
    assert scaled(ramp(1.0, 2), 3.0)(1) == 1.5
    optimizer = PSGD(0.1, 0.0, ramp(1.0, 2), GRID, 0.0, 1.0, decay_target="grid")
    model = mlp((1, 2), dtype=np.float64)
    model.w[...], state = 0.4, optimizer.init(model)
    model.g[...] = 0
    factors = []
    for _ in range(4):
        before = model.w[0]
        optimizer.update(model, state)
        factors.append(model.w[0] / before)
    assert factors == pytest.approx([1, 0.95, 0.9, 0.9])


def test_bad_input_is_refused():
    for call, message in (
        (lambda: PSGD(grid=4, decay_target="up"), "decay_target must be one of zero, grid; got 'up'"),
        (lambda: PSGD(grid=4, weight_decay=-1.0, decay_target="grid"), "weight_decay"),
        (lambda: PSGD(decay_target="grid"), "PSGD needs a grid"),
        (lambda: PSGD(grid=4, gradient_at=1.5), "gradient_at must lie in"),
        (lambda: QuadraticPull(pull=0.1), "QuadraticPull needs a grid"),
        (lambda: QuadraticPull(grid=4, pull=-0.1), "weight_decay"),
        (lambda: ProxQuant(grid=4, penalty=-0.1), "penalty"),
        (lambda: PARQ(grid=4, steps=0), "steps"),
        (lambda: ramp(1.0, 0), "steps"),
        (lambda: ramp(1.0, 2, after=-1), "after"),
        (lambda: piecewise_affine(np.zeros(2), GRID, 2.0), "inverse_slope"),
        (
            lambda: step_arrays(
                PSGD(0.1, grid=GRID, weight_decay=lambda k: -1.0, decay_target="grid"), *PAIR
            ),
            "weight",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call()


PAIR = np.zeros(2), np.zeros(2)


def test_decay_to_zero_alone_is_decay_to_the_grid_of_zero():
    w, g = np.array([0.5, -0.2]), np.array([1.0, 2.0])
    one = step_arrays(PSGD(0.1, 0.0, 0.3, Zero(), 0.0, 4.0, decay_target="grid"), w, g)
    assert np.allclose(one, step_arrays(PSGD(0.1, 0.0, 0.3, Zero(), 0.0, 4.0), w, g), atol=1e-15)


def test_a_schedule_that_leaves_the_way_to_the_targets_is_refused():
    model = mlp((5, 4, 3))
    optimizer = PSGD(grid=4, gradient_at=lambda step: 1.5)
    with (
        pytest.raises(ValueError, match="gradient_at must"),
        optimizer.displaced(model, optimizer.init(model)),
    ):
        pass
