"""The machine for state: right optimisers pass, and each way of losing state is found."""

import copy
import unittest

import numpy as np
import pytest

from psgd_ref.laws import LawBrokenError, check_resume, state_machine


class Momentum:
    """PSGD on the integers with momentum and a rate that falls."""

    def __init__(self):
        self.velocity, self.count = np.zeros(4), 0

    def step(self, w, g):
        self.velocity = 0.9 * self.velocity + np.abs(w - np.rint(w)) * g
        self.count += 1
        return w - 0.1 / self.count * self.velocity

    def state_dict(self):
        return {"velocity": self.velocity, "count": self.count}

    def load_state_dict(self, state):
        self.velocity, self.count = state["velocity"], state["count"]


class Given(Momentum):
    """Targets are given with every step."""

    def step(self, w, g, targets):
        self.velocity = 0.9 * self.velocity + np.abs(w - targets.nearest(w)) * g
        return w - 0.1 * self.velocity


class ForgetsCount(Momentum):
    def load_state_dict(self, state):
        self.velocity, self.count = state["velocity"], 0


class KeepsOldVelocity(Momentum):
    """Right in a new instance, wrong in one that was used."""

    def load_state_dict(self, state):
        self.velocity, self.count = state["velocity"] + self.velocity, state["count"]


class SavingChangesIt(Momentum):
    def state_dict(self):
        self.velocity *= 0.5
        return super().state_dict()


class Shared(Momentum):
    """Velocity in the class: another instance moves it."""

    everybody = np.zeros(4)

    def __init__(self):
        self.velocity, self.count = Shared.everybody, 0
        self.velocity[:] = 0

    def step(self, w, g):
        self.velocity *= 0.9
        self.velocity += g
        return w - 0.1 * self.velocity

    def state_dict(self):
        return {"velocity": self.velocity.copy()}

    def load_state_dict(self, state):
        self.velocity[:] = state["velocity"]


class FrozenGrid(Momentum):
    """Δ is fitted at the first step, and is not part of the state: it shows once Δ changes."""

    spacing = None

    def step(self, w, g):
        if self.spacing is None:
            self.spacing = np.abs(w).max() / 7
        return w - 0.1 * np.abs(w - np.rint(w / self.spacing) * self.spacing) * g


@pytest.mark.parametrize("make", [Momentum, Given])
def test_right_state(make):
    check_resume(make, examples=15)


@pytest.mark.parametrize(
    ("make", "call"),
    [
        (ForgetsCount, "state.resume(back=0"),
        (KeepsOldVelocity, "used=True"),
        (SavingChangesIt, "state.save()"),
        (Shared, "state = Machine()"),
        (FrozenGrid, "state.change_spacing("),
    ],
)
def test_wrong_state_is_found(make, call):
    with pytest.raises(LawBrokenError, match="differ: weight") as raised:
        check_resume(make, examples=60)
    assert call in str(raised.value)


def test_as_a_test_case():
    case = state_machine(Momentum).TestCase
    assert issubclass(case, unittest.TestCase)
    assert not unittest.TestResult().failures
    assert copy.copy(case.settings).max_examples > 0


def test_weights_of_another_shape_are_refused():
    class Wrong(Momentum):
        def step(self, w, g):
            return w[:2]

    with pytest.raises(LawBrokenError, match=r"step gives shape \(2,\) for weights of shape \(4,\)"):
        check_resume(Wrong, examples=5)
