"""The training runs behind the figures: the demonstration's task, with a look at the model on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.data import Dataset, Shift, load_digits
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.store.arrays import Arrays
from psgd_ref.models import mlp
from psgd_ref.nn import Model
from psgd_ref.training import Optimizer
from psgd_ref.training.loop import train_epochs
from psgd_ref.training.progress import Progress
from psgd_ref.training.recipe import Recipe

NETWORKS: dict[str, Callable[[int], Model]] = {
    "convnet": recipe.network,
    "mlp": lambda seed: mlp((64, 50, 20, 10), seed=seed),
}
Look = Callable[[Model, Optimizer, Progress], dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """One run on the digits.

    Parameters
    ----------
    network : str
        Of `NETWORKS`.
    bits : int or None
        Of PSGD's targets; None for SGD.
    options : dict
        Of `SGD` or `PSGD`.
    seed, epochs, batch_size, label_smoothing
        Of training.
    """

    network: str
    bits: int | None
    options: dict[str, Any]
    seed: int
    epochs: int = recipe.EPOCHS
    batch_size: int = recipe.BATCH_SIZE
    label_smoothing: float = recipe.LABEL_SMOOTHING

    @property
    def name(self) -> str:
        """SGD, or PSGD and its targets."""
        return "SGD" if self.bits is None else f"PSGD → W{self.bits}"


def demonstrated(network: str, seed: int, epochs: int = recipe.EPOCHS) -> list[Job]:
    """One job for each of the paper's methods, with the options that the demonstration's search chose."""
    chosen = recipe.chosen_options()
    return [
        Job(network, method.target.weights, chosen[method.name], seed, epochs)
        for method in recipe.PAPER_METHODS
    ]


def train(job: Job, look: Look | None = None, at: Sequence[int] = ()) -> tuple[Model, list[dict[str, Any]]]:
    """The trained model, and what `look` returned after each of the epochs `at` (0: before the first).

    Raises
    ------
    DivergenceError
        When training diverges.
    """
    data, model = load_digits(), NETWORKS[job.network](job.seed)
    steps = job.epochs * -(-len(data.train) // job.batch_size)
    optimizer = recipe.optimizer(job.bits, job.options, steps)
    progress = Progress.of(model, optimizer.init(model), job.seed)
    seen: list[dict[str, Any]] = []

    def note() -> None:
        if look is not None and progress.epoch in at:
            seen.append({"epoch": progress.epoch, "step": progress.step, **look(model, optimizer, progress)})

    note()
    batches = Recipe(job.batch_size, job.label_smoothing, Shift(recipe.SHIFT))
    for _ in train_epochs(model, optimizer, data, progress, job.epochs, batches, show_progress=False):
        note()
    return model, seen


def looks(epochs: int, count: int) -> list[int]:
    """The epochs to look at the model after: `count` of them, evenly spaced, 0 and the last included."""
    return [int(epoch) for epoch in np.unique(np.linspace(0, epochs, count).round())]


def train_images(data: Dataset) -> tuple[Array, Any]:
    """All training images, normalised and not moved, with their labels: what curvature is measured on."""
    return data.normalise(data.train.images), data.train.labels


def weights(model: Model) -> Arrays:
    """What `put_back` gives a model again."""
    return {"w": model.w, **{f"buffer.{name}": value for name, value in model.buffers.items()}}


def put_back(model: Model, arrays: Arrays) -> Model:
    """The model itself with the arrays that `weights` gave. Modifies it."""
    model.w[...] = arrays["w"]
    for name, buffer in model.buffers.items():
        buffer[...] = arrays[f"buffer.{name}"]
    return model


def restored(job: Job, arrays: Arrays) -> Model:
    """The model of a run from its arrays."""
    return put_back(NETWORKS[job.network](job.seed), arrays)


def columns(seen: Sequence[dict[str, Any]]) -> Arrays:
    """A list of looks as one array for each quantity."""
    return {name: np.array([line[name] for line in seen]) for name in seen[0]} if seen else {}


def with_seeds(job: Job, seeds: Sequence[int]) -> list[Job]:
    """The same run for several seeds."""
    return [replace(job, seed=seed) for seed in seeds]
