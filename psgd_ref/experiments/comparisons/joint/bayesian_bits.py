"""Bayesian Bits in the joint comparison: its zero-bit gates choose the sparsity, its others the bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from psgd_ref.compress import chosen_bits, reestimate_batch_norm, remove_parametrizations, sparsity
from psgd_ref.data import load_digits
from psgd_ref.experiments.comparisons.methods import Method, Need
from psgd_ref.experiments.comparisons.pruning.methods import MOMENTUM, network
from psgd_ref.experiments.comparisons.pruning.methods import chosen_options as sparse_options
from psgd_ref.experiments.comparisons.pruning.rows import Row
from psgd_ref.experiments.comparisons.training import task as training_time
from psgd_ref.experiments.comparisons.training.methods import learn_bits
from psgd_ref.experiments.digits import study as demo
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.search_record import Options
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.nn import Model
from psgd_ref.training import SGD, accuracy, cosine

NAME, LEARNED = "Bayesian Bits", "learned"
# Prices of a bit: what the search of the task "training" chose, a tenth and ten times of it; all give rows.
PRICES = (0.01, 0.1, 1.0)
# Its first half is trained with this way's options.
START = "SGD, fine-tuned"
METHOD = Method(
    NAME,
    "training",
    Need.LABELS,
    Need.LABELS,
    "20 epochs by SGD, then 20 with gates, of which 5 with fixed ones; prunes output channels; "
    "one model for each price μ of a bit",
    "van Baalen et al. 2020",
)


@dataclass(frozen=True)
class LearnedRow(Row):
    """A row whose sparsity and bits the method chose; `sparsity` and `bits` are means over seeds.

    shares : share of weights whose gate z₂ is shut, 0 … 1, of each seed;   `sparsity` is their mean
    zeros  : share of weights that are 0, by a gate or by rounding, of each seed
    widths : bits of the weights whose gate is open, their mean, of each seed
    """

    shares: tuple[float, ...]
    zeros: tuple[float, ...]
    widths: tuple[float, ...]


@dataclass(frozen=True)
class Job:
    """One price and seed."""

    price: float
    seed: int


@dataclass(frozen=True)
class Outcome:
    """As in `LearnedRow`, of one run: accuracy by treatment of batch norms."""

    share: float
    zeros: float
    width: float
    right: dict[str, float]
    seconds: float


def measured(seeds: Sequence[int], norms: Sequence[str], workers: int | None) -> list[LearnedRow]:
    """Accuracy on the test images for every price and treatment of batch norms."""
    jobs = [Job(price, seed) for price in PRICES for seed in seeds]
    outcomes = list(zip(jobs, run_all(measure, jobs, workers, NAME), strict=True))
    return [
        _row(price, norm, [outcome for job, outcome in outcomes if job.price == price])
        for price in PRICES
        for norm in norms
    ]


def measure(job: Job) -> Outcome:
    """Train, learn gates, fix them, and measure what is left."""
    data, start = load_digits(), perf_counter()
    train, test = (data.normalise(part.images) for part in (data.train, data.test))
    model = _first_half(sparse_options()[START], job.seed)
    learn_bits(model, training_time.chosen_options()[NAME] | {"mu": job.price}, job.seed)
    seconds, plain, right = perf_counter() - start, remove_parametrizations(model), {}
    for norm in (AS_TRAINED, REESTIMATED):
        if norm == REESTIMATED:
            reestimate_batch_norm(plain, train)
        right[norm] = accuracy(plain, test, data.test.labels)
    share, width = learned(model)
    return Outcome(share, sparsity(plain), width, right, seconds)


def _first_half(options: Options, seed: int) -> Model:
    model, epochs = network(seed), demo.EPOCHS // 2
    sgd = SGD(cosine(options["lr"], demo.steps(epochs)), MOMENTUM, options["weight_decay"])
    demo.fit_digits(model, sgd, epochs, seed)
    return model


def learned(model: Model) -> tuple[float, float]:
    """Share of weights whose channel is pruned, and mean bits of the others; no bits when there are none."""
    chosen = chosen_bits(model)
    sizes = np.array([model.segment(name).view(model.w).size for name in chosen])
    bits, open_share = np.array(list(chosen.values())).T
    kept = sizes * open_share
    return float(1 - kept.sum() / sizes.sum()), float(bits @ kept / max(kept.sum(), 1))


def _row(price: float, norm: str, outcomes: Sequence[Outcome]) -> LearnedRow:
    shares, zeros, widths = (
        tuple(getattr(outcome, name) for outcome in outcomes) for name in ("share", "zeros", "width")
    )
    return LearnedRow(
        method=f"{NAME}, μ = {price:g}",
        needs=str(METHOD.needs),
        bits=f"W{np.mean(widths):.1f}A32",
        sparsity=float(np.mean(shares)),
        grid=LEARNED,
        batch_norm=norm,
        retraining="the last 5 of 40 epochs",
        models="one for each μ",
        shares=shares,
        zeros=zeros,
        widths=widths,
        **rows.statistics([outcome.right[norm] for outcome in outcomes], [out.seconds for out in outcomes]),
    )


def table(found: Sequence[LearnedRow]) -> str:
    """What each price gave, as a Markdown table: mean ± standard deviation over seeds."""
    lines = []
    for name in dict.fromkeys(row.method for row in found):
        own = {row.batch_norm: row for row in found if row.method == name}
        row = next(iter(own.values()))
        cells = [own[norm].cell if norm in own else "" for norm in (AS_TRAINED, REESTIMATED)]
        reached = [rows.cell(row.shares), rows.cell(row.zeros), _bits_cell(row.widths)]
        lines.append([name, *reached, *cells, row.needs, row.retraining, row.models, f"{row.seconds:.0f}"])
    heads = [
        "trained by",
        "weights pruned, %",
        "weights 0, %",
        "bits of those not pruned",
        f"accuracy, {AS_TRAINED}",
        REESTIMATED,
    ]
    heads += ["needs", "retraining", "trained models", "seconds"]
    return rows.markdown(heads, lines, "lrrrrrlllr")


def _bits_cell(widths: Sequence[float]) -> str:
    spread = f" ± {np.std(widths, ddof=1):.1f}" if len(widths) > 1 else ""
    return f"{np.mean(widths):.1f}{spread}"


def sentences(found: Sequence[LearnedRow], fixed: Sequence[Row]) -> list[str]:
    """For each price the best row at a given sparsity and width that is as small, and how far it is ahead.

    fixed : the rows at given sparsities and widths; as small is: at least as many weights pruned, at most
    as many bits. The best is picked by its mean on the test images, which flatters it. Batch norms
    re-estimated; differences are of the same seed, mean ± standard deviation.
    """
    texts = []
    for row in found:
        if row.batch_norm != REESTIMATED:
            continue
        rivals = [
            other
            for other in fixed
            if other.batch_norm == REESTIMATED
            and other.sparsity >= row.sparsity
            and _bits(other) <= _bits(row)
        ]
        size = f"{row.method} ({100 * row.sparsity:.1f} % pruned, {_bits(row):.1f} bits: {row.cell})"
        if not rivals:
            texts.append(f"{size}: no row above is as small")
            continue
        best = max(rivals, key=lambda other: other.mean)
        gain = rows.points(100 * (np.array(best.accuracies) - np.array(row.accuracies)))
        where = f"{100 * best.sparsity:g} %, {best.bits.removesuffix('A32')}, {best.grid} grid"
        texts.append(f"{size}: {best.method} at {where} ({best.cell}) is {gain} points ahead")
    if not texts:
        return []
    title = (
        "The row above with the highest mean (picked on the test images, which flatters it) among those with "
        "at least as many weights pruned and at most as many bits, batch norms re-estimated"
    )
    return [f"{title}: {'; '.join(texts)}."]


def _bits(row: Row) -> float:
    """32 at full precision."""
    if isinstance(row, LearnedRow):
        return float(np.mean(row.widths))
    digits = row.bits.removeprefix("W").removesuffix("A32")
    return float(digits) if digits.isdigit() else 32.0
