"""The library's own optimiser, chain and fused step, against the ledger by the adapter of everybody."""

from dataclasses import dataclass

import numpy as np
import pytest

from psgd_ref.compress import MinMaxGrid
from psgd_ref.core import UniformGrid
from psgd_ref.laws import check
from psgd_ref.laws.methods.foreign import load_subject
from psgd_ref.training import PSGD
from psgd_ref.training.optimizers.arrays import step_arrays


def test_the_optimiser_is_held_to_the_ledger_under_its_address():
    subject = load_subject("psgd_ref.training:PSGD")
    assert {"psgd_step", "warped_step", "mirror_step", "decayed_step"} <= subject.given
    report = check(subject, ["A5", "B1", "B2", "B3", "D5", "D6", "E4"], examples=10)
    assert [outcome.status for outcome in report.outcomes] == ["holds"] * 7


@dataclass(frozen=True)
class _Levels(MinMaxGrid):
    """The min-max grid with any number of levels."""

    count: int = 1

    @property
    def levels(self):
        return self.count


def fused_step(w, g, lr, targets, eps=0.0, strength=1.0, cap=False, weight_decay=0.0, flaw=1.0):
    """A fused step: one weight more, the largest, makes the min-max grid the one asked for."""
    if not isinstance(targets, UniformGrid) or not targets.levels:
        raise NotImplementedError("only uniform grids with an end are fused")
    if np.abs(w).max(initial=0.0) > targets.levels * targets.step:
        raise NotImplementedError("a min-max grid has no weights outside")
    grid = _Levels(8, count=targets.levels)
    optimizer = PSGD(lr, 0.0, weight_decay, grid, eps, flaw * strength, cap)
    assert optimizer.fused is not None
    largest = targets.levels * targets.step
    return step_arrays(optimizer, np.append(w, largest), np.append(g, 0.0))[:-1].reshape(w.shape)


def test_the_fused_step_is_held_to_the_ledger():
    report = check(fused_step, ["B1", "D5"], examples=40)
    assert [outcome.status for outcome in report.outcomes] == ["holds"] * 2
    assert all(outcome.cases >= 10 for outcome in report.outcomes)


def test_a_fused_step_with_a_wrong_strength_is_found_out():
    def wrong(w, g, lr, targets, eps=0.0, strength=1.0, cap=False, weight_decay=0.0):
        return fused_step(w, g, lr, targets, eps, strength, cap, weight_decay, flaw=1.1)

    assert not check(wrong, ["B1"], examples=40).ok


@pytest.mark.parametrize("claim", ["G3", "H2"])
def test_claims_about_methods_above_the_mathematics_are_checked_in_python_too(claim):
    assert check(claims=[claim], examples=5).outcomes[0].status == "holds"
