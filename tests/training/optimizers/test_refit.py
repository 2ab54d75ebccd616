"""The rules that fit targets anew, against recursions written out by hand."""

import numpy as np
import pytest

from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.compress.grids.base import EMA_WEIGHT
from psgd_ref.models import mlp
from psgd_ref.training import PSGD
from psgd_ref.training.optimizers.links.refit import (
    EveryNSteps,
    EveryStep,
    Fitter,
    LeastSquares,
    MovingAverage,
    refit_rule,
)


@pytest.mark.parametrize(
    ("refresh", "rule"),
    [(1, EveryStep()), (3, EveryNSteps(3)), ("ema", MovingAverage()), ("learned", LeastSquares())],
)
def test_how_rules_are_spelled(refresh, rule):
    assert refit_rule(refresh) == rule
    assert refit_rule(rule) is rule
    assert PSGD(grid=4, refresh=refresh).position.refit == PSGD(grid=4, refresh=rule).position.refit == rule


@pytest.mark.parametrize("refresh", [0, -1, True, 1.5, "never", None])
def test_other_spellings_are_refused(refresh):
    with pytest.raises(ValueError, match="refresh must be"):
        refit_rule(refresh)


def grown(rule, factors, grid=None):
    """Δ of the first weight while all weights are multiplied by each factor, and the largest |w| then."""
    model = mlp((3, 2), dtype=np.float64, seed=1)
    fitter = Fitter(model, MinMaxGrid(4) if grid is None else grid)
    state, steps, largest = rule.init(fitter), [], []
    for factor in factors:
        model.w *= factor
        rule.update(fitter, state)
        steps.append(rule.targets(fitter, state)[0].step)
        largest.append(np.abs(model.segment("fc1.weight").view(model.w)).max())
    return np.array(steps), np.array(largest) / 7


def test_every_step_follows_the_weights():
    steps, fitted = grown(EveryStep(), [1.5, 1.0, 2.0])
    assert np.allclose(steps, fitted, rtol=1e-14)


def test_every_third_step_keeps_the_targets_between():
    steps, fitted = grown(EveryNSteps(3), [1.5, 1.1, 2.0, 1.1, 0.5, 1.2, 3.0])
    assert np.allclose(steps, fitted[[0, 0, 0, 3, 3, 3, 6]], rtol=1e-14)


def test_the_moving_average_is_the_recursion():
    steps, fitted = grown(MovingAverage(), [1.0, 1.5, 2.0, 0.5])
    average, expected = fitted[0], []
    for step in fitted:
        average = (1 - EMA_WEIGHT) * average + EMA_WEIGHT * step
        expected.append(average)
    assert np.allclose(steps, expected, rtol=1e-13)


def test_least_squares_is_the_best_step_for_the_integers_that_the_weights_have():
    model = mlp((6, 5), dtype=np.float64, seed=2)
    fitter, rule = Fitter(model, MinMaxGrid(3)), LeastSquares()
    state = rule.init(fitter)
    w = model.segment("fc1.weight").view(model.w)
    codes = np.clip(np.rint(w / (np.abs(w).max() / 127)), -127, 127)  # 8 bits: an outer layer
    rule.update(fitter, state)
    found = rule.targets(fitter, state)[0].step
    errors = [((w - codes * step) ** 2).sum() for step in found * np.array([0.999, 1, 1.001])]
    assert errors[1] == min(errors)


def test_targets_with_more_than_one_step_are_refused_where_one_is_averaged():
    from psgd_ref.compress import AdaptivFloatGrid

    assert grown(MovingAverage(), [1.0], MSEGrid(4))[0].size == 1
    with pytest.raises(ValueError, match="uniform grid; got FiniteTargets"):
        grown(MovingAverage(), [1.0], AdaptivFloatGrid(4))
