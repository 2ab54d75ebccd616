"""When an epoch counts as diverged: just inside both bounds, and just outside each."""

import math

import numpy as np
import pytest

from psgd_ref.models import mlp
from psgd_ref.training import SGD, DivergenceError
from psgd_ref.training.divergence import check_epoch
from psgd_ref.training.progress import Progress

CLASSES = 10
GUESSING = math.log(CLASSES)


def checked(growth, loss):
    """The check after an epoch whose weights grew by a factor and whose second half had a mean loss."""
    model, optimizer = mlp((4, CLASSES), seed=0), SGD(0.1)
    progress = Progress.of(model, optimizer.init(model), 0)
    model.w *= np.float32(growth)
    progress.losses = [1e3, 1e3, loss, loss]
    check_epoch(model, optimizer, progress, CLASSES)


@pytest.mark.parametrize(
    ("growth", "loss"), [(9.9, 2 * GUESSING), (10.1, 0.999 * GUESSING), (1.0, 100.0), (500.0, 0.1)]
)
def test_weights_below_ten_times_their_start_or_a_loss_below_guessing_go_on(growth, loss):
    checked(growth, loss)


@pytest.mark.parametrize(("growth", "loss"), [(10.1, 1.001 * GUESSING), (90.0, 2 * GUESSING)])
def test_both_together_are_divergence(growth, loss):
    with pytest.raises(DivergenceError, match=r"epoch 1: the loss, .* fc1\.weight has grown .*lower lr"):
        checked(growth, loss)
