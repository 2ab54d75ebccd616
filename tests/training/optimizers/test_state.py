"""What an optimiser is: a class with fixed options, and a state in which every link has arrays of its own."""

import dataclasses

import numpy as np
import pytest

from psgd_ref import training
from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.core import Zero
from psgd_ref.models import mlp
from psgd_ref.training import PSGD, SGD, Optimizer, cosine
from psgd_ref.training.optimizers.arrays import step_arrays
from psgd_ref.training.optimizers.links.position import ScaleByPosition
from psgd_ref.training.optimizers.links.proximal import ToZero
from psgd_ref.training.optimizers.links.transforms import AddDecay, Momentum, ScaleByAdam

MADE = {
    "SGD": {},
    "PSGD": {"grid": MinMaxGrid(4)},
    "Adam": {},
    "PSGDAdam": {"grid": MinMaxGrid(4)},
    "ProximalL1": {},
    "QAT": {"gates": 1.0},
}


def test_two_links_of_a_kind_have_a_state_each():
    model = mlp((2, 2), dtype=np.float64)
    optimizer = Optimizer([Momentum(0.9), Momentum(0.5)], lr=1.0)
    state, moves = optimizer.init(model), []
    for _ in range(3):
        model.g[...] = 1
        before = model.w.copy()
        optimizer.update(model, state)
        moves.append((before - model.w)[0])
    # The first gives 1, 1.9, 2.71; the second 1, 0.5 + 1.9, 1.2 + 2.71.
    assert moves == pytest.approx([1, 2.4, 3.91])
    assert sorted(state) == ["0.momentum", "1.momentum", "step"]


def test_ten_links_and_more_are_told_apart():
    model = mlp((2, 2), dtype=np.float64)
    chain = [Momentum(0.1 * (i % 9)) for i in range(12)]
    one, two = Optimizer(chain, 0.1), mlp((2, 2), dtype=np.float64)
    state, velocities = one.init(model), [np.zeros_like(model.w) for _ in chain]
    rng = np.random.default_rng(0)
    for _ in range(4):
        model.g[...] = u = rng.normal(size=model.w.size)
        for link, velocity in zip(chain, velocities, strict=True):
            velocity[...] = link.momentum * velocity + u
            u = velocity
        two.w -= 0.1 * u
        one.update(model, state)
    assert np.allclose(model.w, two.w, rtol=1e-12)


@pytest.mark.parametrize("name", MADE)
def test_every_optimiser_is_a_class_that_shows_its_options_and_keeps_them(name):
    kind = getattr(training, name)
    optimizer = kind(lr=0.25, **MADE[name])
    assert isinstance(optimizer, kind)
    assert isinstance(optimizer, Optimizer)
    assert repr(optimizer).startswith(f"{name}(lr=0.25, ")
    assert all(f"{field.name}=" in repr(optimizer) for field in dataclasses.fields(kind))
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.lr = 0.5


def test_a_chain_of_ones_own_and_schedules_are_shown():
    optimizer = Optimizer([AddDecay(0.1), ScaleByAdam()], 0.5, proximal=ToZero(0.25))
    links = "[AddDecay(weight_decay=0.1), ScaleByAdam(beta1=0.9, beta2=0.999, eps=1e-08)]"
    assert repr(optimizer) == f"Optimizer({links}, lr=constant(0.5), proximal=ToZero(penalty=0.25))"
    assert repr(SGD(cosine(0.1, 40))).startswith("SGD(lr=cosine(0.1, 40), ")


def test_a_number_of_bits_is_the_min_max_grid():
    assert PSGD(grid=4).position.grid == PSGD(grid=MinMaxGrid(4)).position.grid
    assert PSGD(grid=np.int64(3)).position.grid == MinMaxGrid(3)
    rules = {"fc1.weight": MSEGrid(3)}
    assert PSGD(grid=rules).position.grid == rules


def test_a_chain_holds_one_position_scale():
    scale = ScaleByPosition(MinMaxGrid(4))
    with pytest.raises(ValueError, match="one ScaleByPosition; got 2"):
        Optimizer([scale, scale], 0.1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_of_bare_arrays(dtype):
    w, g = np.array([[0.5, -0.25], [1.0, 0.0]], dtype), np.array([[1.0, 2.0], [3.0, 4.0]], dtype)
    after = step_arrays(PSGD(0.1, 0.0, 0.0, Zero(), strength=2.0), w, g)
    assert (after.dtype, after.shape) == (w.dtype, w.shape)
    assert np.allclose(after, w - 0.1 * 2 * np.abs(w) * g)
