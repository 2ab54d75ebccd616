"""The training loop."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from tqdm import tqdm

from psgd_ref.core.arguments import Array, whole_number
from psgd_ref.data.dataset import Augmentation, Dataset, check_data
from psgd_ref.nn import Model
from psgd_ref.nn.finite import NotFiniteError
from psgd_ref.nn.model import check_model
from psgd_ref.training.divergence import DivergenceError, check_pass, not_finite
from psgd_ref.training.evaluation import in_order, score
from psgd_ref.training.objective import CrossEntropy, Objective
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.transforms import State
from psgd_ref.training.progress import Progress


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images showed.

    rate                : η · mean(s) over all weights, of the last step
    loss                : mean training loss over the epoch's batches
    validation_loss     : mean cross-entropy of the validation images
    validation_accuracy : share of validation images classified rightly, 0 … 1
    """

    epoch: int
    rate: float
    loss: float
    validation_loss: float
    validation_accuracy: float


def fit(
    model: Model,
    optimizer: Optimizer,
    data: Dataset,
    epochs: int,
    batch_size: int = 64,
    seed: int = 0,
    label_smoothing: float = 0.0,
    augment: Augmentation | None = None,
    progress: bool | None = None,
    objective: Objective | None = None,
    report: bool = True,
) -> list[Epoch]:
    """Train `model` on data.train and report each epoch on data.validation. Modifies `model`.

    epochs, batch ≥ 1; seed of batch order and augmentation; smoothing: label smoothing in [0, 1)
    progress  : show a bar on standard error; by default when a person watches
    objective : what to make smaller instead of the cross-entropy with `smoothing`
    report    : without it no epoch is measured, which saves a tenth of the time of a small network, and
                the list is empty
    The same arguments give the same weights bit for bit. Raises ValueError for bad arguments and
    `DivergenceError` at the first loss that is not finite, or after a pass that ended worse than guessing.
    """
    check_model(model)
    check_data(data)
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer must be one, such as SGD(0.1); got {type(optimizer).__name__}")
    whole_number("epochs", epochs, 1)
    stand = Progress.of(model, optimizer.init(model), whole_number("seed", seed, 0))
    return list(
        train_epochs(
            model,
            optimizer,
            data,
            stand,
            epochs,
            batch_size,
            label_smoothing,
            augment,
            show=progress,
            objective=objective,
            report=report,
        )
    )


def train_epochs(
    model: Model,
    optimizer: Optimizer,
    data: Dataset,
    progress: Progress,
    until: int,
    batch_size: int = 64,
    label_smoothing: float = 0.0,
    augment: Augmentation | None = None,
    stop: Callable[[], bool] = lambda: False,
    show: bool | None = None,
    objective: Objective | None = None,
    report: bool = True,
) -> Iterator[Epoch]:
    """Train until `until` passes are finished and yield what each showed. Modifies `model` and `progress`.

    stop : asked before every step; when it says so, the iterator ends there, within a pass
    Other arguments as in `fit`. Going on from a saved model and progress gives the same weights, bit for
    bit, as not having stopped.
    """
    steps = -(-len(data.train) // whole_number("batch_size", batch_size, 1))
    hidden = not (sys.stderr.isatty() if show is None else show)
    goal = CrossEntropy(label_smoothing) if objective is None else objective
    done = progress.epoch * steps + len(progress.losses)
    with tqdm(total=until * steps, initial=done, unit="step", disable=hidden, leave=False) as bar:
        while progress.epoch < until:
            bar.set_description(f"epoch {progress.epoch + 1}", refresh=False)
            progress.rng.bit_generator.state = progress.generator
            batches = islice(data.batches(progress.rng, batch_size, augment), len(progress.losses), None)
            for images, labels in batches:
                if stop():
                    return
                progress.losses.append(_step(model, optimizer, progress.state, images, labels, goal))
                bar.update()
            check_pass(model, optimizer, progress, data.classes)
            epoch = _measure(model, optimizer, data, progress) if report else None
            progress.next_pass(model)
            if epoch is not None:
                bar.set_postfix(loss=f"{epoch.loss:.3f}", validation=f"{epoch.validation_accuracy:.1%}")
                yield epoch


def _measure(model: Model, optimizer: Optimizer, data: Dataset, progress: Progress) -> Epoch:
    """What the pass showed."""
    # The schedule at the last step taken, not at the next: at the end of a cosine the next has rate 0.
    last = {**progress.state, "step": progress.state["step"] - 1}
    rates = optimizer.effective_rates(model, last)
    rate = sum(rates[part.name] * (part.stop - part.start) for part in model.segments) / model.w.size
    try:
        loss, right = score(model, in_order(data, "validation"))
    except NotFiniteError as error:
        raise DivergenceError(f"training diverged in epoch {progress.epoch + 1}: {error}") from None
    return Epoch(progress.epoch + 1, rate, float(np.mean(progress.losses)), loss, right)


def _step(
    model: Model, optimizer: Optimizer, state: State, images: Array, labels: Any, objective: Objective
) -> float:
    """One training step; returns the loss of its batch.

    Raises DivergenceError when the loss or a weight is not finite; the weights are then the last finite ones.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        loss = objective(model, images, labels, int(state["step"]))
        if not np.isfinite(loss):
            raise not_finite(model, optimizer, state, None)
        before = model.w.copy()
        optimizer.update(model, state)
        finite = np.isfinite(model.w)
        if not finite.all():
            model.w[...] = before
            lost = next(part.name for part in model.segments if not finite[part.span].all())
            raise not_finite(model, optimizer, state, lost)
    return loss
