"""What the pruning comparisons measure: accuracy of every way by sparsity, bits, grid and batch norms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from psgd_ref.compress import GRIDS, quantize, reestimate_batch_norm
from psgd_ref.data import load_digits
from psgd_ref.experiments.comparisons.pruning.methods import SPARSITIES, Way, chosen_options, way_of
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.search_record import Options
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.nn import Model
from psgd_ref.training import accuracy

FULL, NO_GRID = "full", "none"


@dataclass(frozen=True)
class Row(rows.Row):
    """One line: a way at one sparsity, precision, grid and treatment of batch norms.

    sparsity   : share of weights pruned, 0 … 1; 0 is the trained model itself
    grid       : that the weights are rounded to after pruning, "none" at full precision
    batch_norm : "as trained" (at the mask, for ways that train there) or "re-estimated"
    retraining : what is trained after the mask is known;   models : how many trained models serve
    seconds    : mean time of a seed's training, for all sparsities together
    """

    sparsity: float
    grid: str
    batch_norm: str
    retraining: str
    models: str


@dataclass(frozen=True)
class Job:
    """One way and seed, and at which bits (None: full precision) and grids it is measured."""

    way: str
    options: Options
    seed: int
    sparsities: tuple[float, ...]
    bits: tuple[int | None, ...]
    grids: tuple[str, ...]
    norms: tuple[str, ...]


Key = tuple[str, float, str, str, str]


def measured(
    ways: Sequence[Way],
    seeds: Sequence[int],
    bits: Sequence[int | None],
    grids: Sequence[str],
    norms: Sequence[str],
    workers: int | None,
) -> list[Row]:
    """Train every way for every seed with its chosen options and measure it on the test images.

    A way that is trained for one width is measured at that width alone.
    """
    chosen = chosen_options()
    jobs = [
        Job(way.name, chosen[way.name], seed, SPARSITIES, own, tuple(grids), tuple(norms))
        for way in ways
        if (own := tuple(width for width in bits if way.bits in (None, width)))
        for seed in seeds
    ]
    found = rows.gathered(run_all(measure, jobs, workers, "comparing"))
    return [_row(key, values) for key, values in found.items()]


def measure(job: Job) -> dict[Key, tuple[float, float]]:
    """Accuracy by (way, sparsity, bits, grid, batch norm), and seconds of training."""
    data = load_digits()
    train, test = (data.normalise(part.images) for part in (data.train, data.test))
    right: dict[Key, float] = {}
    seconds, start = 0.0, perf_counter()
    for sparsity, model in way_of(job.way).train(job.options, job.seed, job.sparsities):
        seconds += perf_counter() - start
        for bits, grid, subject in _rounded(model, job):
            for norm in (AS_TRAINED, REESTIMATED):
                if norm == REESTIMATED:
                    reestimate_batch_norm(subject, train)
                if norm in job.norms:
                    key = (job.way, sparsity, bits, grid, norm)
                    right[key] = accuracy(subject, test, data.test.labels)
        start = perf_counter()
    return {key: (value, seconds) for key, value in right.items()}


def _rounded(model: Model, job: Job) -> Iterator[tuple[str, str, Model]]:
    """The model at every precision and grid, as copies."""
    for bits in job.bits:
        if bits is None:
            yield FULL, NO_GRID, model.copy()
        else:
            for grid in job.grids:
                yield str(Precision(bits)), grid, quantize(model, bits, GRIDS[grid])


def _row(key: Key, values: list[tuple[float, float]]) -> Row:
    name, sparsity, bits, grid, norm = key
    way = way_of(name)
    return Row(
        method=name,
        needs=str(way.needs),
        bits=bits,
        sparsity=sparsity,
        grid=grid,
        batch_norm=norm,
        retraining=way.retraining,
        models=way.models,
        **rows.statistics([right for right, _ in values], [seconds for _, seconds in values]),
    )


def matrix(found: Sequence[Row]) -> str:
    """Ways × sparsities as a Markdown table, per cent, with what each way needs."""
    shares = sorted({row.sparsity for row in found})
    lines = []
    for name in dict.fromkeys(row.method for row in found):
        own = {row.sparsity: row for row in found if row.method == name}
        row = next(iter(own.values()))
        cells = [own[share].cell if share in own else "" for share in shares]
        lines.append([name, *cells, row.needs, row.retraining, row.models, f"{row.seconds:.0f}"])
    heads = ["trained by", *(f"{100 * share:g} %" for share in shares)]
    heads += ["needs", "retraining", "trained models", "seconds"]
    return rows.markdown(heads, lines, "l" + "r" * len(shares) + "lllr")
