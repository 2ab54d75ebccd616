"""The training loop."""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from psgd_ref.core.arguments import Array, whole_number
from psgd_ref.data.dataset import Augmentation, Dataset
from psgd_ref.nn import Model
from psgd_ref.training.evaluation import accuracy
from psgd_ref.training.optimizer import Optimizer
from psgd_ref.training.transforms import State


class DivergenceError(ArithmeticError):
    """Training left the finite numbers; the message names the step, the layer and the effective rate."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images showed.

    rate                : η · mean(s) over all weights, at the end of the epoch
    loss                : mean training loss over the epoch's batches
    validation_accuracy : share of validation images classified rightly, 0 … 1
    """

    epoch: int
    rate: float
    loss: float
    validation_accuracy: float


def fit(
    model: Model,
    optimizer: Optimizer,
    data: Dataset,
    epochs: int,
    batch: int = 64,
    seed: int = 0,
    smoothing: float = 0.0,
    augment: Augmentation | None = None,
    progress: bool | None = None,
) -> list[Epoch]:
    """Train `model` on data.train and report each epoch on data.validation. Modifies `model`.

    epochs, batch ≥ 1; seed of batch order and augmentation; smoothing: label smoothing in [0, 1)
    progress : show a bar on standard error; by default when a person watches
    The same arguments give the same weights bit for bit. Raises ValueError for bad arguments and
    `DivergenceError` at the first loss that is not finite.
    """
    whole_number("epochs", epochs, 1)
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    state = optimizer.init(model)
    history: list[Epoch] = []
    hidden = not (sys.stderr.isatty() if progress is None else progress)
    with tqdm(range(1, epochs + 1), "training", unit="epoch", disable=hidden, leave=False) as bar:
        for epoch in bar:
            losses = []
            for images, labels in data.batches(rng, batch, augment):
                losses.append(_step(model, optimizer, state, images, labels, smoothing))
            rate = float(np.mean(list(optimizer.effective_rates(model, state).values())))
            right = accuracy(model, data.normalise(data.validation.images), data.validation.labels)
            history.append(Epoch(epoch, rate, float(np.mean(losses)), right))
            bar.set_postfix(loss=f"{history[-1].loss:.3f}", validation=f"{right:.1%}")
    return history


def _step(
    model: Model, optimizer: Optimizer, state: State, images: Array, labels: Any, smoothing: float
) -> float:
    """One training step; returns the loss of its batch.

    Raises DivergenceError when the loss or a weight is not finite; the weights are then the last finite ones.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        loss = model.loss_and_grad(images, labels, smoothing)
        if not np.isfinite(loss):
            raise DivergenceError(_diagnosis(model, optimizer, state, None))
        before = model.w.copy()
        optimizer.update(model, state)
        finite = np.isfinite(model.w)
        if not finite.all():
            model.w[...] = before
            lost = next(part.name for part in model.segments if not finite[part.span].all())
            raise DivergenceError(_diagnosis(model, optimizer, state, lost))
    return loss


def _diagnosis(model: Model, optimizer: Optimizer, state: State, lost: str | None) -> str:
    """What happened, at which step and effective rate, in which layer, and what to lower."""
    rates = optimizer.effective_rates(model, state)
    name = lost or max(rates, key=lambda part: rates[part])
    what = f"{name} is not finite" if lost else f"the loss is not finite; {name} has the largest rate"
    return (
        f"training diverged at step {int(state['step'])}: {what}, effective rate η·mean(s) = "
        f"{rates[name]:.3g} (η = {optimizer.rate(state):.3g}); lower lr, strength or momentum"
    )
