"""This package's optimisers under the machine that saves, loads and replays, and one that loses its state."""

import copy

import numpy as np
import pytest

from psgd_ref.compress import MinMaxGrid
from psgd_ref.core import Zero
from psgd_ref.laws import LawBrokenError, check_resume
from psgd_ref.models import mlp
from psgd_ref.training import PSGD, SGD, Adam, piecewise

MODEL = mlp((2, 2, 2), seed=0)
START = 3 * MODEL.w + 0.1  # biases, too, away from zero


class Run:
    """An optimiser of this package with a model to act on."""

    def __init__(self, optimizer):
        self.optimizer, self.model = optimizer, MODEL.copy()
        self.state = optimizer.init(self.model)

    def step(self, w, g):
        self.model.w[...], self.model.g[...] = w, g
        self.state = self.optimizer.update(self.model, self.state)
        return self.model.w

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


class LosesState(Run):
    """Begins anew, as when a checkpoint holds the weights alone."""

    def load_state_dict(self, state):
        self.state = self.optimizer.init(self.model)


OPTIMIZERS = {
    "sgd": lambda: SGD(0.1),
    "adam": lambda: Adam(0.01),
    "psgd": lambda: PSGD(0.1, grid=MinMaxGrid(3), eps=0.01),
    "schedule": lambda: PSGD(piecewise(0.1, [2, 4]), grid=Zero(), strength=2.0),
    "refresh": lambda: PSGD(0.1, grid=MinMaxGrid(4), refresh=3),
    "ema": lambda: PSGD(0.1, grid=MinMaxGrid(4), refresh="ema"),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_run_is_the_run(name):
    check_resume(lambda: Run(OPTIMIZERS[name]()), START, examples=8, steps=12)


@pytest.mark.parametrize("name", ["adam", "psgd", "schedule", "refresh", "ema"])
def test_lost_state_is_found(name):
    with pytest.raises(LawBrokenError, match=r"(?s)differ: weight.*state\.resume"):
        # Hypothesis draws constants of all modules that are imported: the programs depend on the other tests.
        check_resume(lambda: LosesState(OPTIMIZERS[name]()), START, examples=300)


def test_states_are_copied_not_shared():
    run = Run(OPTIMIZERS["psgd"]())
    before = copy.deepcopy(run.state_dict())
    run.step(START, np.ones_like(START))
    assert before["step"] == 0
