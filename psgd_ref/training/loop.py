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
from psgd_ref.nn.model import check_model
from psgd_ref.training.divergence import DivergenceError, check_epoch, not_finite
from psgd_ref.training.evaluation import in_order, score
from psgd_ref.training.finite import NotFiniteError
from psgd_ref.training.frozen import warn_of_frozen_weights
from psgd_ref.training.objective import CrossEntropy, Objective
from psgd_ref.training.optimizers.links.transforms import State
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.progress import Progress
from psgd_ref.training.recipe import Recipe


@dataclass(frozen=True)
class Epoch:
    """The metrics of one epoch.

    Attributes
    ----------
    rate
        η · mean(s) over all weights, of the last step.
    loss
        Mean training loss over the epoch's batches.
    validation_loss
        Mean cross-entropy of the validation images.
    validation_accuracy
        Fraction of validation images classified correctly, 0 … 1.
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
    *,
    epochs: int,
    batch_size: int = 64,
    label_smoothing: float = 0.0,
    augment: Augmentation | None = None,
    seed: int = 0,
    objective: Objective | None = None,
    report: bool = True,
    show_progress: bool | None = None,
) -> list[Epoch]:
    """Train `model` on data.train and report each epoch on data.validation. Modifies `model`.

    The same arguments give the same weights bit for bit.

    Parameters
    ----------
    model
        What is trained, in place.
    optimizer
        Such as `PSGD(0.1, grid=MinMaxGrid(4))`.
    data
        With images that the model takes.
    epochs
        ≥ 1: how many times every training image is seen.
    batch_size, label_smoothing, augment
        As in `Recipe`.
    seed
        Of batch order and augmentation.
    objective
        What to minimise instead of the cross-entropy with `label_smoothing`.
    report
        Whether to measure each epoch. Without it the list is empty, and a small network takes a tenth less
        time.
    show_progress
        Show a bar on standard error; by default when that is a terminal.

    Returns
    -------
    list of Epoch
        The metrics of each epoch.

    Raises
    ------
    ValueError
        For arguments that are not accepted, and for an `objective` together with `label_smoothing`, which
        it would ignore.
    DivergenceError
        At the first loss that is not finite, or after an epoch that ended worse than guessing.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> model = pr.models.mlp((2, 8, 2))
    >>> history = pr.fit(model, pr.SGD(0.1), pr.load("moons"), epochs=3)
    >>> [epoch.epoch for epoch in history]
    [1, 2, 3]
    """
    check_model(model)
    check_data(data)
    if not isinstance(optimizer, Optimizer):
        given = f"the class {optimizer.__name__}" if isinstance(optimizer, type) else type(optimizer).__name__
        raise ValueError(f"optimizer must be one, such as SGD(0.1); got {given}")
    whole_number("epochs", epochs, 1)
    recipe = Recipe(batch_size, label_smoothing, augment)
    _goal(objective, recipe)
    model.pixels = (data.mean, data.std)
    model.augment = data.augment if recipe.augment is None else recipe.augment
    progress = Progress.of(model, optimizer.init(model), whole_number("seed", seed, 0))
    warn_of_frozen_weights(model, optimizer, progress.state)
    options: dict[str, Any] = {"objective": objective, "report": report, "show_progress": show_progress}
    return list(train_epochs(model, optimizer, data, progress, epochs, recipe, **options))


def train_epochs(
    model: Model,
    optimizer: Optimizer,
    data: Dataset,
    progress: Progress,
    until: int,
    recipe: Recipe | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    objective: Objective | None = None,
    report: bool = True,
    show_progress: bool | None = None,
) -> Iterator[Epoch]:
    """Train until `until` epochs are finished and yield the metrics of each. Modifies `model` and `progress`.

    Resuming from a saved model and progress gives the same weights, bit for bit, as not having stopped.

    Parameters
    ----------
    recipe
        How batches are drawn; by default `Recipe()`.
    stop
        Called before every step; when it returns True, the iterator ends there, even within an epoch.
    objective, report, show_progress
        As in `fit`.
    """
    recipe = Recipe() if recipe is None else recipe
    goal = _goal(objective, recipe)
    steps = -(-len(data.train) // recipe.batch_size)
    hidden = not (sys.stderr.isatty() if show_progress is None else show_progress)
    done = progress.epoch * steps + len(progress.losses)
    with tqdm(total=until * steps, initial=done, unit="step", disable=hidden, leave=False) as bar:
        while progress.epoch < until:
            bar.set_description(f"epoch {progress.epoch + 1}", refresh=False)
            progress.rng.bit_generator.state = progress.generator
            batches = data.batches(progress.rng, recipe.batch_size, recipe.augment)
            for images, labels in islice(batches, len(progress.losses), None):
                if stop():
                    return
                progress.losses.append(_step(model, optimizer, progress.state, images, labels, goal))
                bar.update()
            check_epoch(model, optimizer, progress, data.classes)
            epoch = _measure(model, optimizer, data, progress) if report else None
            progress.next_epoch(model)
            if epoch is not None:
                bar.set_postfix(loss=f"{epoch.loss:.3f}", validation=f"{epoch.validation_accuracy:.1%}")
                yield epoch


def _goal(objective: Objective | None, recipe: Recipe) -> Objective:
    """What to minimise; ValueError for what cannot be called, and for smoothing that it would ignore."""
    if objective is None:
        return CrossEntropy(recipe.label_smoothing)
    if not callable(objective):
        raise ValueError(f"objective must be one, such as CrossEntropy(0.1) or Penalized; got {objective!r}")
    if recipe.label_smoothing:
        raise ValueError(
            f"label_smoothing = {recipe.label_smoothing} would be ignored: an objective has a smoothing of "
            "its own, such as CrossEntropy(label_smoothing)"
        )
    return objective


def _measure(model: Model, optimizer: Optimizer, data: Dataset, progress: Progress) -> Epoch:
    """The metrics of the epoch."""
    # The schedule at the last step taken, not at the next: at the end of a cosine the next has rate 0.
    last = {**progress.state, "step": progress.state["step"] - 1}
    rates = optimizer.effective_rates(model, last)
    rate = (
        sum(rates[segment.name] * (segment.stop - segment.start) for segment in model.segments) / model.w.size
    )
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
        with optimizer.displaced(model, state):
            loss = objective(model, images, labels, int(state["step"]))
        if not np.isfinite(loss):
            raise not_finite(model, optimizer, state, None)
        before = model.w.copy()
        optimizer.update(model, state)
        finite = np.isfinite(model.w)
        if not finite.all():
            model.w[...] = before
            lost = next(segment.name for segment in model.segments if not finite[segment.span].all())
            raise not_finite(model, optimizer, state, lost)
    return loss
