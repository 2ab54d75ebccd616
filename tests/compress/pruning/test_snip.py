"""SNIP against a worked example and against the loss itself."""

import numpy as np
import pytest

from psgd_ref.compress import snip
from psgd_ref.compress.pruning.prune import weight_indices
from psgd_ref.compress.pruning.snip import connection_sensitivity, saliency
from psgd_ref.models import convnet, mlp

RNG = np.random.default_rng(0)
NETWORKS = {
    "perceptron": (lambda: mlp((6, 4, 3), dtype=np.float64), (8, 6)),
    "batch norms": (lambda: convnet(widths=(2, 3), classes=3, dtype=np.float64), (8, 5, 5, 1)),
}


def test_worked_example():
    found = connection_sensitivity(np.array([0.5, -2, 0.1, 1]), np.array([0.2, 0.1, -3, 0.05]))
    assert np.allclose(found, [0.153846, 0.307692, 0.461538, 0.076923], atol=5e-7)


@pytest.mark.parametrize(("make", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_saliency_is_the_loss_difference_of_a_factor_before_each_weight(make, shape):
    model, rng = make(), np.random.default_rng(1)
    x, y = rng.normal(size=shape), rng.integers(0, 3, len(rng.normal(size=shape[0])))
    places, h = np.concatenate(weight_indices(model)), 1e-5
    slopes = np.zeros(model.w.size)
    for j in places:
        losses = []
        for factor in (1 + h, 1 - h):
            probe = model.copy()
            probe.w[j] *= factor
            losses.append(probe.loss_and_grad(x, y))
        slopes[j] = abs(losses[0] - losses[1]) / (2 * h)
    assert np.allclose(saliency(model, x, y), slopes / slopes.sum(), atol=1e-8)


def test_exact_count_globally_and_the_model_stays():
    model = convnet(widths=(4, 4))
    x, y = RNG.normal(size=(20, 8, 8, 1)).astype(np.float32), RNG.integers(0, 10, 20)
    before = model.w.copy(), {name: value.copy() for name, value in model.buffers.items()}
    pruned = snip(model, x, y, 0.9)
    places, scores = np.concatenate(weight_indices(model)), saliency(model, x, y)
    kept = pruned.mask[places]
    assert kept.sum() == round(0.1 * places.size)
    assert scores[places][kept].min() >= scores[places][~kept].max()
    assert np.array_equal(model.w, before[0])
    assert all(np.array_equal(model.buffers[name], value) for name, value in before[1].items())


def test_a_batch_without_gradient_is_refused():
    model = mlp((3, 2, 2))
    model.w[...] = 0
    with pytest.raises(ValueError, match="gradient"):
        snip(model, np.zeros((2, 3), np.float32), np.array([0, 1]), 0.5)
