"""Weights that begin on their targets: the warning says which, and only then."""

import warnings

import numpy as np
import pytest

from psgd_ref.compress import quantize
from psgd_ref.data import load
from psgd_ref.models import mlp
from psgd_ref.training import PSGD, SGD, fit
from psgd_ref.training.frozen import FrozenWeightsWarning

MOONS = load("moons")


def train(model, optimizer):
    fit(model, optimizer, MOONS, epochs=1, report=False)


def test_a_model_on_its_grid_is_named():
    model = quantize(mlp((2, 8, 2)), 4)
    with pytest.warns(FrozenWeightsWarning, match=r"fc1\.weight \(100%\), fc2\.weight \(100%\).*small eps"):
        train(model, PSGD(0.05, weight_decay=0, grid=4))


@pytest.mark.parametrize(
    "optimizer", [SGD(0.05), PSGD(0.05, grid=4, eps=0.01), PSGD(0.05, grid=4, eps=lambda step: 0.1)]
)
def test_nothing_is_said_where_weights_can_move(optimizer):
    model = quantize(mlp((2, 8, 2)), 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model, optimizer)
        train(mlp((2, 8, 2)), PSGD(0.05, grid=4))


def test_what_a_mask_holds_at_0_is_meant_to_stay():
    model = mlp((2, 8, 2))
    mask = np.ones(model.w.size, bool)
    mask[model.segment("fc1.weight").span][:14] = False
    model.set_mask(mask)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model, PSGD(0.05, grid=8))


def test_biases_are_trained_as_by_sgd():
    """They begin at 0, which is a target; moons cannot be separated without them."""
    model = mlp((2, 50, 20, 2))
    fit(model, PSGD(0.1, grid=4), MOONS, epochs=20, report=False)
    assert all(np.any(part.view(model.w)) for part in model.segments if part.role == "bias")
    right = model.forward(MOONS.normalise(MOONS.test.images)).argmax(axis=1) == MOONS.test.labels
    assert right.mean() > 0.97
