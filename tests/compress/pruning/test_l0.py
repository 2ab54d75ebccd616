"""L0 gates: the same function, gradients of the expected loss, draws that repeat, and shut gates."""

import numpy as np
import pytest

from psgd_ref.compress import gated, remove_parametrizations, sparsity
from psgd_ref.compress.pruning.l0 import Gates, L0Penalty
from psgd_ref.data import load_moons
from psgd_ref.models import mlp
from psgd_ref.training import SGD, CrossEntropy, Penalized, Recipe, fit
from psgd_ref.training.loop import train_epochs
from psgd_ref.training.progress import Progress
from psgd_ref.training.runs.checkpoint import read_checkpoint, save_checkpoint

DATA = load_moons(200)


def test_gating_keeps_the_function_and_folding_gives_the_weights_back():
    model = mlp((4, 3, 2), dtype=np.float64)
    other, x = gated(model), np.random.default_rng(0).normal(size=(5, 4))
    assert np.allclose(other.forward(x), model.forward(x), atol=1e-12)
    assert np.allclose(remove_parametrizations(other).w, model.w, atol=1e-15)


def test_gradients_are_those_of_differences_at_the_same_draws():
    model, penalty = gated(mlp((4, 3, 2), dtype=np.float64), 0.4), L0Penalty(0.1)
    rng, h = np.random.default_rng(1), 1e-6
    x, y, direction = rng.normal(size=(6, 4)), rng.integers(0, 2, 6), rng.normal(size=model.w.size)
    objective = Penalized(CrossEntropy(), [penalty])
    probes = [model.copy() for _ in range(3)]
    probes[1].w += h * direction
    probes[2].w -= h * direction
    losses = [objective(probe, x, y, 0) for probe in probes]
    assert np.isclose((losses[1] - losses[2]) / (2 * h), probes[0].g @ direction, rtol=1e-5)


def test_the_share_of_open_gates_is_the_penalty():
    shape = (200, 50)
    layer = Gates(shape, 0.5, seed=3)
    layer.logits.value, layer.logits.grad = np.full(shape, -1.0), np.zeros(shape)
    open_share = np.mean([(layer.forward(np.ones(shape), True)[0] > 0).mean() for _ in range(5)])
    # P(z > 0) = σ(φ − β ln(−γ/ζ)) = σ(φ + 1.598597)
    assert open_share == pytest.approx(1 / (1 + np.exp(1 - 1.598597)), abs=0.005)


def test_a_strong_penalty_shuts_gates():
    model = gated(mlp((2, 16, 2), seed=1))
    objective = Penalized(CrossEntropy(), [L0Penalty(0.05)])
    fit(model, SGD(0.5, 0.9, 0), DATA, epochs=15, batch_size=20, show_progress=False, objective=objective)
    assert sparsity(remove_parametrizations(model)) > 0.3


def test_a_resumed_run_draws_the_same(tmp_path):
    objective, ends = Penalized(CrossEntropy(), [L0Penalty(0.001)]), []
    for stop_at in (None, 3):
        model, optimizer = gated(mlp((2, 4, 2))), SGD(0.1)
        progress = Progress.of(model, optimizer.init(model), 3)
        if stop_at is not None:
            stopped = lambda: progress.step == 3  # noqa: B023, E731
            list(
                train_epochs(
                    model, optimizer, DATA, progress, 2, Recipe(50), stop=stopped, objective=objective
                )
            )
            path = save_checkpoint(tmp_path, model, progress, {})
            model = gated(mlp((2, 4, 2), seed=9))
            progress = read_checkpoint(path).restore(model)
        list(train_epochs(model, optimizer, DATA, progress, 2, Recipe(50), objective=objective))
        ends.append(model.w.tobytes())
    assert ends[0] == ends[1]


@pytest.mark.parametrize("dropped", [0, 1, -0.5])
def test_refusals(dropped):
    with pytest.raises(ValueError, match="dropped"):
        gated(mlp(), dropped)
