"""What is measured of sparse models: accuracy of every way by sparsity, precision, grid and batch norms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from psgd_ref.compress import GRIDS, quantize, reestimate_batch_norm
from psgd_ref.experiments.comparisons.shared.sparse.methods import (
    SPARSITIES,
    chosen_options,
    train,
    way_of,
)
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.methods import Method
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.search_record import Options
from psgd_ref.experiments.shared.tables import markdown
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.nn import Model
from psgd_ref.training import accuracy

NO_GRID = "none"


@dataclass(frozen=True)
class Row(rows.Row):
    """One line: a way at one sparsity, precision, grid and treatment of batch norms.

    `seconds` is the mean time of a seed's training, for all sparsities together.

    Parameters
    ----------
    sparsity : float
        Fraction of weights pruned, 0 … 1; 0 is the trained model itself.
    grid : str
        That the weights are rounded to after pruning, "none" at full precision.
    batch_norm : str
        "as trained" (at the mask, for ways that train there) or "re-estimated".
    retraining : str
        What is trained after the mask is known.
    models : str
        How many trained models serve.
    """

    sparsity: float
    grid: str
    batch_norm: str
    retraining: str
    models: str


@dataclass(frozen=True)
class Key:
    """What one accuracy is of."""

    method: str
    sparsity: float
    precision: Precision
    grid: str
    batch_norm: str


@dataclass(frozen=True)
class Job:
    """One way and seed, and at which precisions and grids it is measured."""

    way: str
    options: Options
    seed: int
    sparsities: tuple[float, ...]
    precisions: tuple[Precision, ...]
    grids: tuple[str, ...]
    norms: tuple[str, ...]


def measured(
    ways: Sequence[Method],
    seeds: Sequence[int],
    precisions: Sequence[Precision],
    grids: Sequence[str],
    norms: Sequence[str],
    workers: int | None,
) -> list[Row]:
    """Train every way for every seed with its chosen options and measure it on the test images.

    A way that is trained for one precision is measured at that precision alone.
    """
    chosen = chosen_options()
    jobs = [
        Job(way.name, chosen[way.name], seed, SPARSITIES, own, tuple(grids), tuple(norms))
        for way in ways
        if (own := tuple(p for p in precisions if p in way.targets or not way.targets))
        for seed in seeds
    ]
    found = rows.gathered(run_all(measure, jobs, workers, "comparing"))
    return [row_of(key, values) for key, values in found.items()]


def measure(job: Job) -> dict[Key, tuple[float, float]]:
    """Accuracy by way, sparsity, precision, grid and batch norm, and seconds of training."""
    data = recipe.data()
    images, test = recipe.training_images(), data.normalise(data.test.images)
    found: dict[Key, float] = {}
    seconds, start = 0.0, perf_counter()
    for sparsity, model in train(job.way, job.options, job.seed, job.sparsities):
        seconds += perf_counter() - start
        for precision, grid, subject in _rounded(model, job):
            for norm in (AS_TRAINED, REESTIMATED):
                if norm == REESTIMATED:
                    reestimate_batch_norm(subject, images)
                if norm in job.norms:
                    key = Key(job.way, sparsity, precision, grid, norm)
                    found[key] = accuracy(subject, test, data.test.labels)
        start = perf_counter()
    return {key: (value, seconds) for key, value in found.items()}


def _rounded(model: Model, job: Job) -> Iterator[tuple[Precision, str, Model]]:
    """The model at every precision and grid, as copies."""
    for precision in job.precisions:
        if precision.weights is None:
            yield precision, NO_GRID, model.copy()
        else:
            for grid in job.grids:
                yield precision, grid, quantize(model, precision.weights, GRIDS[grid])


def row_of(key: Key, values: Sequence[tuple[float, float]]) -> Row:
    """The row of several runs, from accuracy and seconds of each."""
    way = way_of(key.method)
    return Row(
        needs=way.needs_at(key.precision),
        retraining=way.retraining,
        models=way.models,
        **vars(key),
        **rows.statistics([accuracy for accuracy, _ in values], [seconds for _, seconds in values]),
    )


def matrix(found: Sequence[Row]) -> str:
    """Ways × sparsities as a Markdown table, per cent, with what each way needs."""
    sparsities = sorted({row.sparsity for row in found})
    lines = []
    for name in dict.fromkeys(row.method for row in found):
        own = {row.sparsity: row for row in found if row.method == name}
        row = next(iter(own.values()))
        cells = [own[sparsity].cell if sparsity in own else "" for sparsity in sparsities]
        lines.append([name, *cells, str(row.needs), row.retraining, row.models, f"{row.seconds:.0f}"])
    heads = ["trained by", *(f"{100 * sparsity:g} %" for sparsity in sparsities)]
    heads += ["needs", "retraining", "trained models", "seconds"]
    return markdown(heads, lines, "l" + "r" * len(sparsities) + "lllr")
