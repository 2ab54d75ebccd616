"""Variants of PSGD: annealed ε, a learned grid, the scale before and behind Adam, steady strengths."""

import numpy as np
import pytest

from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.compress.selection import assign
from psgd_ref.data import load_digits
from psgd_ref.models import convnet, mlp
from psgd_ref.training import PSGD, Adam, PSGDAdam, cosine, fit

DATA = load_digits()


def with_gradient(seed=0):
    model = mlp((64, 8, 10), seed=0)
    model.g[...] = np.random.default_rng(seed).standard_normal(model.g.size)
    return model


def test_an_annealed_eps_is_at_every_step_the_constant_of_that_step():
    schedule = cosine(0.1, 4)
    model, state = with_gradient(), None
    optimizer = PSGD(0.01, 0.0, 0.0, MinMaxGrid(3), eps=schedule)
    state = optimizer.init(model)
    for step in range(4):
        constant = with_gradient()
        constant.w[...] = model.w
        plain = PSGD(0.01, 0.0, 0.0, MinMaxGrid(3), eps=schedule(step))
        plain.update(constant, plain.init(constant))
        optimizer.update(model, state)
        assert np.allclose(model.w, constant.w, atol=1e-6)


def squared_error(model, steps, grid):
    total = 0.0
    for (segment, rule), step in zip(assign(model, grid), steps, strict=True):
        w = segment.view(model.w)
        codes = np.clip(np.rint(w / step), -rule.levels, rule.levels)
        total += float(((w - codes * step) ** 2).sum())
    return total


def test_a_learned_grid_comes_close_to_the_best_one():
    model, grid = with_gradient(), MinMaxGrid(3)
    optimizer = PSGD(0.0, 0.0, 0.0, grid, refresh="learned")
    state = optimizer.init(model)
    errors = [squared_error(model, state["0.grid_step"], grid)]
    for _ in range(30):
        optimizer.update(model, state)
        errors.append(squared_error(model, state["0.grid_step"], grid))
    assert np.all(np.diff(errors) <= 1e-6)
    best = [MSEGrid(g.bits).fit(segment.view(model.w)).step for segment, g in assign(model, grid)]
    assert errors[-1] < 1.1 * squared_error(model, best, grid)
    assert errors[-1] < errors[0]


def test_scale_before_adam_cancels_where_it_is_constant_and_behind_it_does_not():
    moves = {}
    for name, optimizer in (
        ("adam", Adam(1e-5)),
        ("gradient", PSGDAdam(1e-5, grid=MinMaxGrid(3))),
        ("direction", PSGDAdam(1e-5, grid=MinMaxGrid(3), order="direction")),
    ):
        model = with_gradient()
        before, state = model.w.copy(), optimizer.init(model)
        scale = (
            None
            if optimizer.position is None
            else optimizer.position.scale(model, optimizer.position_state(state))
        )
        for _ in range(3):
            optimizer.update(model, state)
        moves[name] = model.w.astype(float) - before
    away = scale > 0.05
    assert np.allclose(moves["gradient"][away], moves["adam"][away], rtol=0.02, atol=1e-6)
    assert np.allclose(moves["direction"], scale * moves["adam"], rtol=0.05, atol=2e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        PSGD(0.1, grid=MinMaxGrid(3), eps=cosine(0.05, 40)),
        PSGD(0.1, grid=MinMaxGrid(3), refresh="learned", cap=True),
        PSGD(0.1, grid=MSEGrid(3), cap=True),
        PSGD(0.1, 0.0, grid=MinMaxGrid(3), discretization="mirror", eps=0.01),
        PSGD(0.1, grid=MinMaxGrid(3), strength="mean-one"),
        PSGD(0.1, grid=MinMaxGrid(3), strength="volume"),
        PSGDAdam(3e-3, grid=MinMaxGrid(3)),
        PSGDAdam(3e-3, grid=MinMaxGrid(3), order="direction"),
    ],
)
def test_every_variant_trains(optimizer):
    model = convnet(widths=(4, 8), seed=0)
    history = fit(model, optimizer, DATA, epochs=3, batch_size=50)
    assert history[-1].loss < 0.95 * history[0].loss


@pytest.mark.parametrize(
    "make",
    [
        lambda: PSGD(grid=MinMaxGrid(3), refresh="taught"),
        lambda: PSGDAdam(grid=MinMaxGrid(3), order="both"),
        PSGDAdam,
    ],
)
def test_bad_values_are_refused(make):
    with pytest.raises(ValueError, match=r"refresh|order|grid"):
        make()
