"""One run of the task "training": train a model, and measure it at its own precision and at the others."""

from dataclasses import dataclass
from typing import Any

from psgd_ref.compress import chosen_bits, reestimate_batch_norm, remove_fake_quantizers
from psgd_ref.experiments.comparisons.shared.post_training import Calibration, variants
from psgd_ref.experiments.comparisons.training.methods import (
    CLIPPED,
    METHODS,
    QUANTIZATION_AWARE,
    bit_operations,
    train,
)
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.digits.recipe import BASELINE
from psgd_ref.experiments.shared.methods import method_of
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.rows import NORMS, REESTIMATED
from psgd_ref.experiments.shared.search_record import Options, chosen
from psgd_ref.training.evaluation import in_order, score

# The post-training methods that put weights on a grid, by the grid's name.
POST_GRIDS = {"min-max": "min-max", "mse": "MSE"}


@dataclass(frozen=True)
class Job:
    """One model to train, for which precision, and at which others to measure it."""

    name: str
    options: Options
    target: Precision
    seed: int
    precisions: tuple[Precision, ...]
    split: str = "test"


@dataclass(frozen=True)
class Outcome:
    """What one run gave; one that diverged has accuracy 0 everywhere, and took no time that means anything.

    Parameters
    ----------
    accuracy : dict
        0 … 1, by the method's name, the precision and the treatment of the batch norms.
    seconds : float
        Of CPU.
    note : str
        What was found.
    """

    accuracy: dict[tuple[str, Precision, str], float]
    seconds: float
    note: str
    operations: float
    diverged: bool = False


def measure(job: Job) -> Outcome:
    """Train one model, and its accuracy with its own quantizers and at every precision.

    At a precision that it was not trained for, its latent weights are put on the method's grid.
    """
    trained = train(job.name, job.options, job.target, job.seed)
    data, found = recipe.data(), {}
    calibration = Calibration.of(data)
    latent = trained.model.copy()
    remove_fake_quantizers(latent)
    subjects = {FULL: latent}
    if job.name in QUANTIZATION_AWARE:
        subjects = {job.target: trained.model, FULL: latent}
    for precision, subject in subjects.items():
        for norm in NORMS:
            whole = subject.copy()
            if norm == REESTIMATED:
                reestimate_batch_norm(whole, calibration.all)
            found[job.name, precision, norm] = score(whole, in_order(data, job.split))[1]
    grids = {job.name: POST_GRIDS[method_of(METHODS, job.name).grid]}
    if job.name == BASELINE.name:
        grids[CLIPPED] = "MSE"
    for name, grid in grids.items():
        for precision in job.precisions:
            for variant in variants(grid, latent, precision, calibration, NORMS):
                accuracy = score(variant.model, in_order(data, job.split))[1]
                found.setdefault((name, precision, variant.batch_norm), accuracy)
    return Outcome(found, trained.seconds, _note(trained.model), bit_operations(trained.model))


def measure_or_lose(job: Job) -> Outcome:
    """The same, with 0 everywhere for a run that diverges: a method that may fail must show it."""
    try:
        return measure(job)
    except ArithmeticError:
        own = [job.target] if job.name in QUANTIZATION_AWARE else []
        columns = dict.fromkeys([FULL, *job.precisions, *own])
        lost = {(job.name, precision, norm): 0.0 for precision in columns for norm in NORMS}
        return Outcome(lost, 0.0, "", 0.0, diverged=True)


def chosen_options() -> dict[str, Options]:
    """Hyper-parameters by method: the demonstration's search for SGD and PSGD, this task's for the others."""
    return recipe.chosen_options() | chosen(__package__)


def _note(model: Any) -> str:
    """Bayesian Bits' choice, mean over the layers."""
    bits = chosen_bits(model)
    if not bits:
        return ""
    weights = [(width, kept) for name, (width, kept) in bits.items() if name.endswith("weight")]
    inputs = [width for name, (width, _) in bits.items() if name.endswith("input")]
    mean = sum(width for width, _ in weights) / len(weights)
    pruned = 1 - sum(kept for _, kept in weights) / len(weights)
    return f"W{mean:.1f}A{sum(inputs) / len(inputs):.1f}, {pruned:.0%} of channels pruned"
