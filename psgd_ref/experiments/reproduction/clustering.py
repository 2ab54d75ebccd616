"""How weights gather on their targets through training, and what claim E2 predicts for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from psgd_ref.analysis import noise_drift, occupation
from psgd_ref.compress import MinMaxGrid
from psgd_ref.core.arguments import Array
from psgd_ref.data import Shift, load_digits
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.reproduction.training import Job, columns, demonstrated, looks, train, with_seeds
from psgd_ref.experiments.store.arrays import Arrays, ArrayStore
from psgd_ref.nn import Model
from psgd_ref.training import Optimizer
from psgd_ref.training.progress import Progress

BITS = 3
LARGE_BATCH_SIZE = 200
# Smaller than the demonstration's, with which weights gather within a few epochs: E2 is about small steps.
RATE = 0.1
# Batches whose gradients show the noise, drawn apart from those of training.
DRAWS = 10
LOOKS = 21


@dataclass(frozen=True)
class Setting:
    """A line of the figure: how a run differs from PSGD with small batches and label smoothing."""

    name: str
    discretization: str = "psgd"
    batch_size: int = recipe.BATCH_SIZE
    label_smoothing: float = recipe.LABEL_SMOOTHING


SETTINGS = (
    Setting("PSGD"),
    Setting("warped", discretization="warp"),
    Setting("mirror", discretization="mirror"),
    Setting("large batch", batch_size=LARGE_BATCH_SIZE),
    Setting("no smoothing", label_smoothing=0.0),
)


def run(seeds: Sequence[int], epochs: int, store: ArrayStore) -> dict[str, Any]:
    """Distances from the targets against steps, by setting.

    Parameters
    ----------
    seeds, epochs
        Of the runs.
    store : ArrayStore
        Where the results of runs are kept.

    Returns
    -------
    dict
        What `figures.paper.clustering` draws; distances are lists over seeds.
    """
    jobs = [job for setting in SETTINGS for job in with_seeds(_job(setting, epochs), seeds)]
    found = store.all(gathered, jobs, "clustering")
    lines: dict[str, Any] = {}
    for i, setting in enumerate(SETTINGS):
        own = found[i * len(seeds) : (i + 1) * len(seeds)]
        lines[setting.name] = {
            "batch_size": setting.batch_size,
            "label_smoothing": setting.label_smoothing,
            "steps": own[0]["step"].tolist(),
            "mean": [each["mean"].tolist() for each in own],
            "typical": [each["typical"].tolist() for each in own],
            "predicted": [_predicted(each).tolist() for each in own],
        }
    return {"seeds": list(seeds), "epochs": epochs, "bits": BITS, "rate": RATE, "lines": lines}


def gathered(job: Job) -> Arrays:
    """Mean and geometric mean of d/Δ of the 3-bit layers, and the drift of ln d by noise alone."""

    def look(model: Model, optimizer: Optimizer, progress: Progress) -> dict[str, Any]:
        place = occupation(model, MinMaxGrid(BITS))
        variance = _noise(model, job)[place.indices]
        # λ* at ε = 0 is 8/Δ: claim C3.
        drift = noise_drift(
            variance, 8 / place.step, optimizer.rate(progress.state), job.options["discretization"]
        )
        return {"mean": place.mean_distance(), "typical": place.typical_distance(), "drift": drift}

    return columns(train(job, look, looks(job.epochs, LOOKS))[1])


def _job(setting: Setting, epochs: int) -> Job:
    """The demonstration's PSGD → W3, with ε = 0 as in claim E2 and without weight decay (claim E4)."""
    base = next(job for job in demonstrated("convnet", 0, epochs) if job.bits == BITS)
    options = {
        **base.options,
        "lr": RATE,
        "eps": 0.0,
        "weight_decay": 0.0,
        "discretization": setting.discretization,
    }
    # As many steps for every size of batch: the large batch sees more images.
    more = round(epochs * setting.batch_size / base.batch_size)
    return replace(
        base,
        options=options,
        batch_size=setting.batch_size,
        label_smoothing=setting.label_smoothing,
        epochs=more,
    )


def _noise(model: Model, job: Job) -> Array:
    """The variance of each parameter's gradient from batch to batch, shape (n,)."""
    data, subject = load_digits(), model.copy()
    rng = np.random.default_rng([job.seed, 1])
    gradients: list[Array] = []
    while len(gradients) < DRAWS:
        for images, labels in data.batches(rng, job.batch_size, Shift(recipe.SHIFT)):
            if len(gradients) == DRAWS:
                break
            subject.loss_and_grad(images, labels, job.label_smoothing)
            gradients.append(subject.g.astype(np.float64))
    return np.asarray(np.var(gradients, axis=0, ddof=1))


def _predicted(looks: Arrays) -> Array:
    """The geometric mean of d/Δ if noise alone moved it: the first look times e^(sum of the drifts)."""
    between = np.diff(looks["step"]) * (looks["drift"][1:] + looks["drift"][:-1]) / 2
    return np.asarray(looks["typical"][0] * np.exp(np.concatenate([[0.0], np.cumsum(between)])))
