"""Objectives: the default is cross-entropy, penalties add up, and steps are counted."""

import numpy as np
import pytest

from psgd_ref.data import load_digits
from psgd_ref.models import mlp
from psgd_ref.training import SGD, CrossEntropy, DivergenceError, Penalized, fit
from psgd_ref.training.loop import train_epochs
from psgd_ref.training.progress import Progress

DATA = load_digits()


def half_square(strength):
    """strength/2 · ‖w‖²."""

    def penalty(model, step):
        model.g += strength * model.w
        return 0.5 * strength * float(model.w @ model.w)

    return penalty


def test_the_default_is_smoothed_cross_entropy():
    plain, given = mlp(seed=0), mlp(seed=0)
    fit(plain, SGD(0.1), DATA, epochs=1, label_smoothing=0.1)
    fit(given, SGD(0.1), DATA, epochs=1, objective=CrossEntropy(0.1))
    assert np.array_equal(plain.w, given.w)


def test_penalties_add_their_value_and_gradient():
    model = mlp((64, 8, 10), seed=0, dtype=np.float64)
    images, labels = DATA.normalise(DATA.train.images[:20]).astype(float), DATA.train.labels[:20]
    loss = CrossEntropy(0.1)(model, images, labels, 0)
    gradient = model.g.copy()
    objective = Penalized(CrossEntropy(0.1), [half_square(2.0), half_square(1.0)])
    assert objective(model, images, labels, 0) == pytest.approx(loss + 1.5 * float(model.w @ model.w))
    assert np.allclose(model.g, gradient + 3 * model.w)


def test_a_penalty_acts_as_decay_does():
    plain, given = mlp(seed=0), mlp(seed=0)
    fit(plain, SGD(0.1, weight_decay=1e-2), DATA, epochs=1)
    fit(
        given,
        SGD(0.1, weight_decay=0.0),
        DATA,
        epochs=1,
        objective=Penalized(CrossEntropy(), [half_square(1e-2)]),
    )
    assert np.allclose(plain.w, given.w, atol=1e-5)


def test_objectives_are_told_how_many_steps_were_taken_also_when_resumed():
    steps = []

    def objective(model, images, labels, step):
        steps.append(step)
        return model.loss_and_grad(images, labels)

    model, optimizer = mlp((64, 8, 10), seed=0), SGD(0.1)
    progress = Progress.of(model, optimizer.init(model), 0)
    stop = iter([False] * 3 + [True])
    assert (
        list(train_epochs(model, optimizer, DATA, progress, 1, stop=lambda: next(stop), objective=objective))
        == []
    )
    list(train_epochs(model, optimizer, DATA, progress, 1, objective=objective))
    assert steps == list(range(len(steps)))
    assert len(steps) == -(-len(DATA.train) // 64)


def test_an_objective_that_is_not_finite_ends_the_run():
    with pytest.raises(DivergenceError):
        fit(mlp(seed=0), SGD(0.1), DATA, epochs=1, objective=lambda model, images, labels, step: float("nan"))
