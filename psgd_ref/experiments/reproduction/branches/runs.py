"""One run of a table: a trunk, or one method from its weights, measured."""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.compress import (
    AdaRound,
    MSEGrid,
    adaround,
    quantize,
    reestimate_batch_norm,
    relative_error,
    remove_fake_quantizers,
)
from psgd_ref.data import Dataset, load
from psgd_ref.experiments.reproduction.branches import recipe, sizes
from psgd_ref.experiments.reproduction.training import put_back, weights
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.rows import NORMS, REESTIMATED
from psgd_ref.experiments.store.arrays import Arrays, ArrayStore
from psgd_ref.nn import Model
from psgd_ref.training.divergence import DivergenceError
from psgd_ref.training.evaluation import CALIBRATION, in_order, score

PRECISIONS = (FULL, Precision(4), Precision(3), Precision(2))
# Images that AdaRound looks at.
SEEN = 1024


@dataclass(frozen=True)
class Trunk:
    """The model of SGD that a seed's methods begin with, at a size of `sizes.SIZES`."""

    seed: int
    size: str = sizes.SMALL.name


@dataclass(frozen=True)
class Branch:
    """One method from a trunk, and the images that it is measured on.

    Parameters
    ----------
    method : str
        Of `recipe.BY_NAME`.
    bits : int
        That it is trained (or rounded) to; 0 for one model at every width.
    options : dict
        As in `Method.make`; AdaRound's beside those of the SGD that it rounds.
    seed : int
        Of the trunk and the branch.
    split : str
        "validation" or "test".
    size : str
        Of `sizes.SIZES`.
    """

    method: str
    bits: int
    options: dict[str, Any]
    seed: int
    split: str
    size: str = sizes.SMALL.name


@dataclass(frozen=True)
class Outcome:
    """Accuracy (0 … 1) by treatment of batch norms and precision, and the error of rounding at the own width.

    Parameters
    ----------
    error
        Mean (w − w̄)² in units of Δ²/12, that of weights spread evenly; NaN for one model at every width.
    """

    accuracy: dict[tuple[str, Precision], float]
    error: float

    def as_arrays(self) -> Arrays:
        """As the store keeps it."""
        named = {f"{norm}|{p.label}": np.array(value) for (norm, p), value in self.accuracy.items()}
        return {**named, "error": np.array(self.error)}

    @staticmethod
    def read(arrays: Arrays) -> "Outcome":
        """What `as_arrays` wrote."""
        accuracy = {}
        for name, value in arrays.items():
            norm, bar, label = name.partition("|")
            if bar:
                accuracy[norm, Precision.read(label)] = float(value)
        return Outcome(accuracy, float(arrays["error"]))


def trunk(job: Trunk, data_folder: Path | None) -> Arrays:
    """Weights and statistics of a trunk."""
    size = sizes.SIZES[job.size]
    return weights(sizes.train_trunk(size, _data(size.data, data_folder), job.seed))


def branch(job: Branch, data_folder: Path | None, store: ArrayStore) -> Arrays:
    """What one method gives, 0 everywhere if it diverged; `store` holds the trunks."""
    size, method = sizes.SIZES[job.size], recipe.BY_NAME[job.method]
    data = _data(size.data, data_folder)
    model = put_back(size.begin(data, job.seed), store.known(trunk, Trunk(job.seed, job.size)))
    try:
        sizes.train_branch(size, model, data, method, job.bits, job.options, job.seed)
    except DivergenceError:
        lost = {(norm, precision): 0.0 for norm in NORMS for precision in PRECISIONS}
        return Outcome(lost, float("nan")).as_arrays()
    if method.rounds:
        return _rounded(model, data, job).as_arrays()
    found = {}
    if method.learns_grid:
        own = Precision(job.bits)
        for norm in NORMS:
            found[norm, own] = _accuracy(model, data, job.split, norm)
        model = model.copy()
        remove_fake_quantizers(model)
    for precision in PRECISIONS:
        for norm in NORMS:
            if (norm, precision) not in found:
                subject = model if precision == FULL else quantize(model, precision.weights or 0, MSEGrid)
                found[norm, precision] = _accuracy(subject.copy(), data, job.split, norm)
    error = relative_error(model, quantize(model, job.bits, MSEGrid)) if job.bits else float("nan")
    return Outcome(found, error).as_arrays()


def _rounded(model: Model, data: Dataset, job: Branch) -> Outcome:
    """AdaRound of SGD's model at one width; the images are those of training, re-drawn as there."""
    o = job.options
    chosen = AdaRound(o["steps"], lr=o.get("rate", 1e-2), penalty=o.get("penalty", 1e-2), seed=job.seed)
    rounded = adaround(model, data.as_trained(SEEN, model.augment), job.bits, options=chosen)
    own = Precision(job.bits)
    found = {(norm, own): _accuracy(rounded.copy(), data, job.split, norm) for norm in NORMS}
    return Outcome(found, relative_error(model, rounded))


def _accuracy(model: Model, data: Dataset, split: str, norm: str) -> float:
    """Modifies the statistics of the model."""
    if norm == REESTIMATED:
        reestimate_batch_norm(model, data.as_trained(CALIBRATION, model.augment))
    return score(model, in_order(data, split))[1]


@cache
def _data(name: str, folder: Path | None) -> Dataset:
    return load(name, folder)


def as_json(job: Branch, outcome: Outcome) -> dict[str, Any]:
    """A run and what it gave, as plain values."""
    accuracy: dict[str, dict[str, float]] = {}
    for (norm, precision), value in outcome.accuracy.items():
        accuracy.setdefault(norm, {})[precision.label] = value
    return {**asdict(job), "accuracy": accuracy, "error": None if np.isnan(outcome.error) else outcome.error}
