"""Bayesian Bits in the joint comparison: its zero-bit gates choose the sparsity, its others the bits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Self

import numpy as np

from psgd_ref.compress import chosen_bits, reestimate_batch_norm, remove_parametrizations, sparsity
from psgd_ref.experiments.comparisons.shared.bit_learning import BAYESIAN_BITS, learn_bits
from psgd_ref.experiments.comparisons.shared.sparse import methods
from psgd_ref.experiments.comparisons.shared.sparse.rows import Row
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.methods import Method, Need
from psgd_ref.experiments.shared.precision import MIXED
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.search_record import Options
from psgd_ref.experiments.shared.tables import cell, markdown, points
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.nn import Model
from psgd_ref.training import SGD, accuracy, cosine

LEARNED = "learned"
# μ, what a bit costs in the loss: a factor of ten apart, and all give rows, so that none is chosen here.
COSTS = (0.01, 0.1, 1.0)
METHOD = Method(
    BAYESIAN_BITS,
    "training",
    Need.LABELS,
    "20 epochs by SGD, then 20 with gates, of which 5 with fixed ones; prunes output channels; "
    "one model for each cost μ of a bit",
    "van Baalen et al. 2020",
    targets=(MIXED,),
)


@dataclass(frozen=True)
class LearnedRow(Row):
    """A row whose sparsity and bits the method chose; `sparsity` is the mean of `shares`.

    Parameters
    ----------
    shares : tuple of float
        Fraction of weights whose gate z₂ is shut, 0 … 1, of each seed.
    zeros : tuple of float
        Fraction of weights that are 0, by a gate or by rounding, of each seed.
    widths : tuple of float
        Mean bits of the weights whose gate is open, of each seed.
    """

    shares: tuple[float, ...]
    zeros: tuple[float, ...]
    widths: tuple[float, ...]

    @property
    def bits(self) -> float:
        """Mean of `widths`."""
        return float(np.mean(self.widths))

    def as_json(self) -> dict[str, Any]:
        """The row as plain values; under "bits" the mean."""
        return super().as_json() | {"bits": f"W{self.bits:.1f}A32"}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """The row that `as_json` wrote."""
        return super().read({**record, "bits": str(MIXED)})


@dataclass(frozen=True)
class Job:
    """One cost of a bit and one seed."""

    cost: float
    seed: int


@dataclass(frozen=True)
class Outcome:
    """As in `LearnedRow`, of one run: accuracy by treatment of batch norms."""

    pruned: float
    zeros: float
    width: float
    accuracy: dict[str, float]
    seconds: float


def measured(seeds: Sequence[int], norms: Sequence[str], workers: int | None) -> list[LearnedRow]:
    """Accuracy on the test images for every cost and treatment of batch norms."""
    jobs = [Job(cost, seed) for cost in COSTS for seed in seeds]
    outcomes = list(zip(jobs, run_all(measure, jobs, workers, BAYESIAN_BITS), strict=True))
    return [
        row_of(cost, norm, [outcome for job, outcome in outcomes if job.cost == cost])
        for cost in COSTS
        for norm in norms
    ]


def measure(job: Job) -> Outcome:
    """Train, learn gates, fix them, and measure what is left."""
    data, start = recipe.data(), perf_counter()
    train, test = recipe.training_images(), data.normalise(data.test.images)
    model = _first_half(methods.chosen_options()[methods.FINE_TUNED.name], job.seed)
    learn_bits(model, job.cost, job.seed)
    seconds, plain, found = perf_counter() - start, remove_parametrizations(model), {}
    for norm in (AS_TRAINED, REESTIMATED):
        if norm == REESTIMATED:
            reestimate_batch_norm(plain, train)
        found[norm] = accuracy(plain, test, data.test.labels)
    pruned, width = learned(model)
    return Outcome(pruned, sparsity(plain), width, found, seconds)


def _first_half(options: Options, seed: int) -> Model:
    model, epochs = methods.network(seed), recipe.EPOCHS // 2
    sgd = SGD(cosine(options["lr"], recipe.steps(epochs)), methods.MOMENTUM, options["weight_decay"])
    recipe.fit_digits(model, sgd, epochs, seed)
    return model


def learned(model: Model) -> tuple[float, float]:
    """Fraction of weights whose channel is pruned, and mean bits of the others, 0 when there are none."""
    chosen = chosen_bits(model)
    sizes = np.array([model.segment(name).view(model.w).size for name in chosen])
    bits, open_fraction = np.array(list(chosen.values())).T
    kept = sizes * open_fraction
    return float(1 - kept.sum() / sizes.sum()), float(bits @ kept / max(kept.sum(), 1))


def row_of(cost: float, norm: str, outcomes: Sequence[Outcome]) -> LearnedRow:
    """The row of several runs at one cost of a bit."""
    shares, zeros, widths = (
        tuple(getattr(outcome, name) for outcome in outcomes) for name in ("pruned", "zeros", "width")
    )
    return LearnedRow(
        method=f"{BAYESIAN_BITS}, μ = {cost:g}",
        needs=METHOD.needs,
        precision=MIXED,
        sparsity=float(np.mean(shares)),
        grid=LEARNED,
        batch_norm=norm,
        retraining="the last 5 of 40 epochs",
        models="one for each μ",
        shares=shares,
        zeros=zeros,
        widths=widths,
        **rows.statistics(
            [outcome.accuracy[norm] for outcome in outcomes], [out.seconds for out in outcomes]
        ),
    )


def table(found: Sequence[LearnedRow]) -> str:
    """What each cost gave, as a Markdown table: mean ± standard deviation over seeds."""
    lines = []
    for name in dict.fromkeys(row.method for row in found):
        own = {row.batch_norm: row for row in found if row.method == name}
        row = next(iter(own.values()))
        cells = [own[norm].cell if norm in own else "" for norm in (AS_TRAINED, REESTIMATED)]
        reached = [cell(row.shares), cell(row.zeros), _bits_cell(row.widths)]
        lines.append(
            [name, *reached, *cells, str(row.needs), row.retraining, row.models, f"{row.seconds:.0f}"]
        )
    heads = [
        "trained by",
        "weights pruned, %",
        "weights 0, %",
        "bits of those not pruned",
        f"accuracy, {AS_TRAINED}",
        REESTIMATED,
    ]
    heads += ["needs", "retraining", "trained models", "seconds"]
    return markdown(heads, lines, "lrrrrrlllr")


def _bits_cell(widths: Sequence[float]) -> str:
    spread = f" ± {np.std(widths, ddof=1):.1f}" if len(widths) > 1 else ""
    return f"{np.mean(widths):.1f}{spread}"


def sentences(found: Sequence[LearnedRow], fixed: Sequence[Row]) -> list[str]:
    """For each cost the best row at a given sparsity and width that is as small, and how far it is ahead.

    As small is: at least as many weights pruned, at most as many bits. The best is picked by its mean on the
    test images, which flatters it. Batch norms are re-estimated; differences are of the same seed, mean ±
    standard deviation.

    Parameters
    ----------
    found : sequence of LearnedRow
        One for each cost and treatment of batch norms.
    fixed : sequence of Row
        At given sparsities and bit-widths.
    """
    texts = []
    for row in found:
        if row.batch_norm != REESTIMATED:
            continue
        rivals = [
            other
            for other in fixed
            if other.batch_norm == REESTIMATED and other.sparsity >= row.sparsity and _bits(other) <= row.bits
        ]
        size = f"{row.method} ({100 * row.sparsity:.1f} % pruned, {row.bits:.1f} bits: {row.cell})"
        if not rivals:
            texts.append(f"{size}: no row above is as small")
            continue
        best = max(rivals, key=lambda other: other.mean)
        gain = points(100 * (np.array(best.accuracies) - np.array(row.accuracies)))
        where = f"{100 * best.sparsity:g} %, {best.precision.label}, {best.grid} grid"
        texts.append(f"{size}: {best.method} at {where} ({best.cell}) is {gain} points ahead")
    if not texts:
        return []
    title = (
        "The row above with the highest mean (picked on the test images, which flatters it) among those with "
        "at least as many weights pruned and at most as many bits, batch norms re-estimated"
    )
    return [f"{title}: {'; '.join(texts)}."]


def _bits(row: Row) -> int:
    """Of the weights, 32 at full precision."""
    return 32 if row.precision.weights is None else row.precision.weights
