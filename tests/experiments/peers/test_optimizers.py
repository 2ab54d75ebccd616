"""What an optimizer is as a step: of known steps, and of those in another process."""

import sys
from pathlib import Path

import numpy as np
import pytest

from psgd_ref.core import Warp, Zero, mirror_step, psgd_step, warped_step
from psgd_ref.experiments.peers import optimizers
from psgd_ref.experiments.peers.first_step import first_step
from psgd_ref.experiments.peers.table import page
from psgd_ref.nn import Linear, Model
from psgd_ref.training import SGD
from tests.experiments.peers.family import STUB

ZERO = Warp(Zero())


@pytest.mark.parametrize(("step", "c"), [(psgd_step, 0.0), (warped_step, 0.25), (mirror_step, 0.5)])
def test_the_three_steps_differ_at_second_order(step, c):
    found = first_step(lambda w, g, lr: step(w, g, lr, ZERO))
    assert (found["direction"], found["factor"], found["order"]) == ("|w| g", 1.0, c)
    assert found["linear"]
    assert found["own weight"]
    assert found["degree"] == 1
    assert found["zero stays"]
    assert found["rests"] < 1e-15


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (lambda w, g, lr: w - lr * g, ("g", 1.0, True, 0.0, True)),
        (lambda w, g, lr: w - 3 * lr * w**2 * g, ("w² g", 3.0, True, 2.0, True)),
        (lambda w, g, lr: w - lr * np.linalg.norm(w) * g, ("‖w‖ g", 1.0, True, 1.0, False)),
        (lambda w, g, lr: w - lr * np.sqrt(np.mean(w**2)) * g, ("rms(w) g", 1.0, True, 1.0, False)),
        (lambda w, g, lr: w - lr * np.sign(g), ("sign g", 1.0, False, 0.0, True)),
        (lambda w, g, lr: w - lr * (g + 1), ("unknown", None, False, 0.0, True)),
    ],
)
def test_a_direction_is_told_by_its_formula(step, expected):
    found = first_step(step)
    names = ("direction", "factor", "linear", "degree", "own weight")
    assert tuple(found[name] for name in names) == expected
    assert found["order"] in (None, 0.0)
    assert found["zero stays"] == (expected[0] == "w² g")


def test_a_step_that_knows_no_zero_says_nothing_of_it():
    def step(w, g, lr):
        if not w.all():
            raise NotImplementedError("0")
        return w * (1 - lr)

    found = first_step(step)
    assert found["zero stays"] is None
    assert found["rests"] == pytest.approx(1e-3)


@pytest.mark.parametrize("how", [{}, {"momentum": 0.9}, {"momentum": 0.9, "weight_decay": 0.01}])
def test_the_formula_is_the_chain_of_this_library_bit_by_bit(how):
    model = Model(Linear(optimizers.INPUTS, optimizers.OUTPUTS, bias=False))
    w, g = model.w.copy(), np.random.default_rng(0).normal(size=(5, model.w.size)).astype(np.float32)
    optimizer = SGD(0.1, **{"momentum": 0.0, "weight_decay": 0.0, **how})
    state = optimizer.init(model)
    for gradient in g:
        model.g[...] = gradient
        optimizer.apply_chain(model, state)
    np.testing.assert_array_equal(optimizers.sgd(w, g, 0.1, **how)[-1], model.w)


def test_a_distance_counts_units_of_the_larger_of_the_weight_and_1():
    one = np.ones((2, 2), np.float32)
    moved = one + np.array([[0, 0], [0, 3 * np.spacing(np.float32(1))]], np.float32)
    assert optimizers.distance(moved, one) == {"equal": 0.5, "ulps": 3.0}
    assert optimizers.distance(moved / 8, one / 8) == {"equal": 0.5, "ulps": 0.375}


def test_optimizers_in_another_process_and_their_rows():
    found = {each["optimizer"]: each for each in optimizers.records(STUB, Path(sys.executable))}
    plain, product = found["descends"], found["multiplies"]
    assert plain["against"]["g"] == {"equal": 1.0, "ulps": 0.0}
    assert 0 < plain["against"]["μ"]["ulps"] < 100
    assert set(plain["against"]) == {"g", "μ"}
    assert plain["claims"]["B4"] == "holds"
    assert plain["claims"]["D6"].startswith("w stays in its box")
    assert "subject" not in plain["claims"]["D6"]
    assert product["first"]["direction"] == "|w| g"
    assert product["against"]["g"]["equal"] < 0.1
    assert product["claims"]["B3"] == "holds"
    assert "unexpected keyword" in found["refuses"]["error"]
    record = {
        "family": "stub",
        "date": "today",
        "functions": [],
        "meetings": [],
        "optimizers": [*found.values()],
    }
    shown = [line for line in page([record]).splitlines() if line.startswith(("| descends", "| multiplies"))]
    assert shown[0].startswith("| descends | SGD | = |")
    assert "another step" in shown[1]
    assert "\\|w\\| g" in shown[1]
    assert "| refuses | SGD | " in page([record])
