"""Chapter C, last claim: what the strength means for the rate."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing.strategies import Setting, powers, seeds
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

POINTS = 64


_numbers: dict[str, Any] = {
    "step": powers(-3, 3),
    "k": st.integers(-3, 3),
    "lr": powers(-4, 1),
    "seed": seeds,
}


def _cell(k: int, step: float) -> Array:
    """Even midpoints of a cell: the mean over them is that of a uniform weight exactly."""
    return np.asarray(step * (k + (np.arange(POINTS) + 0.5) / POINTS - 0.5))


def _mean_move(
    subject: Subject, places: Array, setting: Setting, lr: float, seed: int
) -> tuple[float, float, float]:
    """The mean step over places times drawn gradients, SGD's at rate lr, and what rounding may do."""
    g: Array = np.random.default_rng(seed).standard_normal(5) / (lr * setting.strength)
    w, g = (x.ravel() for x in np.meshgrid(places, g))
    moved = subject.psgd_step(w, g, lr, setting.warp) - w
    size = float(np.abs(w).max() + lr * setting.strength * np.abs(g).max() * setting.unit)
    return float(moved.mean()), -lr * float(g.mean()), 1e-13 * size


RATE = claim(
    "C6",
    "The rate in the mean",
    "for weights spread evenly over the cells of a uniform grid, with gradients independent of the place, "
    "a PSGD step moves them in the mean by −ηλ(Δ/4 + ε)E g: at ε = 0 as SGD at 2η under λ*, at η under "
    '"mean-one"; under one λ for all channels the rate of a channel is in proportion to its Δ',
    tests=("psgd_step", "scale", "formulas.mean_scale_of_cell", "formulas.volume_strength"),
)


@RATE.holds(cost=2, eps=st.one_of(st.just(0.0), powers(-4, 1)), levels=st.sampled_from([None, 3]), **_numbers)
def volume(
    subject: Subject, trial: Trial, step: float, k: int, lr: float, seed: int, eps: float, levels: int | None
) -> None:
    """Even midpoints of a cell times drawn gradients: their mean is that of a uniform weight exactly."""
    grid = UniformGrid(step, levels)
    setting = Setting(grid, eps * step, float(subject.formulas.volume_strength(grid, eps * step)))
    moved, sgd, error = _mean_move(subject, _cell(k, step), setting, lr, seed)
    mean = subject.formulas.mean_scale_of_cell(step, setting.eps, setting.strength)
    trial.within(moved - mean * sgd, error, "the mean step is SGD's at ηλ(Δ/4 + ε)")
    if eps == 0:
        trial.within(moved - 2 * sgd, 4 * error, "at λ* and ε = 0 it is SGD's at 2η")


@RATE.holds(**_numbers)
def mean_one(subject: Subject, trial: Trial, step: float, k: int, lr: float, seed: int) -> None:
    """Under "mean-one" the mean step is that of SGD."""
    g: Array = np.random.default_rng(seed).standard_normal(5) / lr
    w, g = (np.asarray(x.ravel()) for x in np.meshgrid(_cell(k, step), g))
    moved = -lr * subject.scale(w, UniformGrid(step), 0.0, "mean-one") * g
    trial.within(moved.mean() + lr * g.mean(), 1e-13 * np.abs(lr * g).max(), '"mean-one" keeps the rate')


@RATE.holds(cost=2, ratio=st.floats(1.5, 30), **_numbers)
def channels(subject: Subject, trial: Trial, step: float, k: int, lr: float, seed: int, ratio: float) -> None:
    """Two channels under one λ: their mean steps are as their gaps."""
    moves = []
    for gap in (step, ratio * step):
        setting = Setting(UniformGrid(gap), 0.0, 1 / step)
        g = np.ones(POINTS) / lr
        w = _cell(k, gap)
        moves.append(float((subject.psgd_step(w, g, lr, setting.warp) - w).mean()))
    trial.within(moves[1] / moves[0] / ratio - 1, 1e-11, "under one λ a channel's rate is as its Δ")
