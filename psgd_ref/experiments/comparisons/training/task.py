"""The task "training": methods that act in training, at the precision they are for and at all others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from psgd_ref.compress import chosen_bits, reestimate_batch_norm, remove_fake_quantizers
from psgd_ref.compress.quantization_aware.fake_quantizer import fake_quantizers
from psgd_ref.data import load_digits
from psgd_ref.experiments.comparisons import methods as registry
from psgd_ref.experiments.comparisons.methods import Method, Need
from psgd_ref.experiments.comparisons.quantization import post_training
from psgd_ref.experiments.comparisons.quantization.post_training import Calibration
from psgd_ref.experiments.comparisons.training import sentences as training_words
from psgd_ref.experiments.comparisons.training.methods import (
    PSGD_W2,
    PSGD_W3,
    SGD_NAME,
    bit_operations,
    train,
)
from psgd_ref.experiments.digits import study as demo
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.precision import Precision, parse_precision
from psgd_ref.experiments.shared.rows import NORMS, REESTIMATED
from psgd_ref.experiments.shared.search_record import Options, chosen
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.training.evaluation import in_order, score

PRECISIONS = (Precision(4), Precision(3), Precision(2), Precision(4, 4), Precision(2, 2))
FULL, MIXED = "full", "mixed"

W2, W2A2 = Precision(2), Precision(2, 2)
# What each quantization-aware method is trained for.
TARGETS: dict[str, tuple[Precision, ...]] = {
    "LSQ": (W2, W2A2),
    "LSQ+": (W2, W2A2),
    "DSQ": (W2, W2A2),
    "EWGS": (W2, W2A2),
    "LSQ + dampening": (W2, W2A2),
    "PSGD → LSQ": (W2, W2A2),
    "LSQ + PSGD": (W2,),
}


def _method(name: str, needs: Need, options: str, paper: str) -> Method:
    return Method(name, "training", needs, max(needs, Need.IMAGES), options, paper)


_HALVES = "20 epochs by SGD, then 20 with quantizers"
METHODS: tuple[Method, ...] = (
    _method(SGD_NAME, Need.NOTHING, "the model that everybody has, on the min-max grid", "-"),
    _method("SGD + MSE clipping", Need.NOTHING, "the same model on the grid of least squared error", "-"),
    _method("gradient-L1", Need.TRAINING, "λ‖∂L/∂w‖₁ by Hessian-vector products", "Alizadeh et al. 2020"),
    _method(PSGD_W3, Need.TRAINING, "min-max grid of 3 bits, λ* = 8/Δ", "Kim, Yoo, Kwak 2020"),
    _method(PSGD_W2, Need.TRAINING, "min-max grid of 2 bits, λ* = 8/Δ", "Kim, Yoo, Kwak 2020"),
    _method("HALP", Need.TRAINING, "offsets of 8 bits; the weights are full-precision", "De Sa et al. 2018"),
    _method("LSQ", Need.LABELS, _HALVES, "Esser et al. 2020"),
    _method("LSQ+", Need.LABELS, _HALVES, "Bhalgat et al. 2020"),
    _method("DSQ", Need.LABELS, _HALVES, "Gong et al. 2019"),
    _method("EWGS", Need.LABELS, f"{_HALVES}, δ = 0.001", "Lee, Kim, Ham 2021"),
    _method("LSQ + dampening", Need.LABELS, _HALVES, "Nagel et al. 2022"),
    _method(
        "Bayesian Bits", Need.LABELS, f"{_HALVES}, of which 5 with fixed gates", "van Baalen et al. 2020"
    ),
    _method("PSGD → LSQ", Need.TRAINING, "20 epochs by PSGD → W2, then 20 of LSQ", "both"),
    _method("LSQ + PSGD", Need.LABELS, f"{_HALVES}, latent gradients scaled by position", "both"),
)


@dataclass(frozen=True)
class Row(rows.Row):
    """One method at one precision; `seconds` are those of CPU that training took, mean over seeds.

    target     : the precision that the method was trained for: "full", "W2A32", or "mixed"
    own        : whether this row is at that precision, with the quantizers that were trained
    batch_norm : "as trained" or "re-estimated" on the training images
    relative   : training time relative to SGD's
    note       : what the row's method found, such as mean bits, and how many of its runs diverged
    """

    target: str
    own: bool
    batch_norm: str
    relative: float
    note: str


@dataclass(frozen=True)
class Job:
    """One model to train and where to measure it."""

    name: str
    options: Options
    target: Precision | None
    seed: int
    precisions: tuple[Precision, ...]
    split: str = "test"


@dataclass(frozen=True)
class Outcome:
    """Accuracies (0 … 1) by method's name, precision and batch norm; seconds of CPU; what was found.

    A run that diverged has accuracy 0 everywhere, and took no time that means anything.
    """

    accuracy: dict[tuple[str, str, str], float]
    seconds: float
    note: str
    operations: float
    diverged: bool = False


def measure(job: Job) -> Outcome:
    """Train one model, and its accuracy with its own quantizers and at every precision.

    At a precision that it was not trained for, its latent weights are put on the min-max grid.
    """
    trained = train(job.name, job.options, job.target, job.seed)
    data, found = load_digits(), {}
    calibration = Calibration.of(data)
    latent = trained.model.copy()
    remove_fake_quantizers(latent)
    own = MIXED if job.target is None else str(job.target)
    learned = any(True for _ in fake_quantizers(trained.model))
    subjects = {own: trained.model, FULL: latent} if learned else {FULL: latent}
    for bits, subject in subjects.items():
        for norm in NORMS:
            whole = subject.copy()
            if norm == REESTIMATED:
                reestimate_batch_norm(whole, calibration.all)
            found[job.name, bits, norm] = score(whole, in_order(data, job.split))[1]
    grids = {job.name: "min-max"}
    if job.name == SGD_NAME:
        grids["SGD + MSE clipping"] = "MSE"
    for name, grid in grids.items():
        for precision in job.precisions:
            for variant in post_training.variants(grid, latent, precision, calibration, NORMS):
                right = score(variant.model, in_order(data, job.split))[1]
                found.setdefault((name, str(precision), variant.batch_norm), right)
    return Outcome(found, trained.seconds, _note(job, trained.model), bit_operations(trained.model))


def measure_or_lose(job: Job) -> Outcome:
    """The same, with 0 everywhere for a run that diverges: a method that may fail must show it."""
    try:
        return measure(job)
    except ArithmeticError:
        columns = [FULL, *map(str, job.precisions), *([] if job.target is None else [str(job.target)])]
        lost = {(job.name, bits, norm): 0.0 for bits in columns for norm in NORMS}
        return Outcome(lost, 0.0, "", 0.0, diverged=True)


def _note(job: Job, model: Any) -> str:
    """Bayesian Bits' choice, mean over the layers."""
    bits = chosen_bits(model)
    if not bits:
        return ""
    weights = [(width, kept) for name, (width, kept) in bits.items() if name.endswith("weight")]
    inputs = [width for name, (width, _) in bits.items() if name.endswith("input")]
    mean = sum(width for width, _ in weights) / len(weights)
    pruned = 1 - sum(kept for _, kept in weights) / len(weights)
    return f"W{mean:.1f}A{sum(inputs) / len(inputs):.1f}, {pruned:.0%} of channels pruned"


def run(
    seeds: Sequence[int], names: Sequence[str] = (), bits: Sequence[str] = (), workers: int | None = None
) -> list[Row]:
    """Train every named method (all when none is) for every seed and measure on the test images.

    bits : precisions as "W3A8"; by default W4, W3, W2, W4A4, W2A2
    A run that diverges counts as 0, and its row says how many did.
    Hyper-parameters are those of the committed searches. Raises ValueError for unknown names or precisions.
    """
    registry.check_names(METHODS, names)
    wanted = {method.name for method in registry.named(METHODS, "training", names)}
    precisions = tuple(parse_precision(text) for text in bits) or PRECISIONS
    options = chosen_options()
    # SGD is in every table: times are relative to its.
    trained = [m.name for m in METHODS if m.name in options and m.name in wanted | {SGD_NAME}]
    jobs = [
        Job(name, options[name], target, seed, precisions)
        for name in trained
        for target in targets(name)
        for seed in seeds
    ]
    outcomes = run_all(measure_or_lose, jobs, workers, "training")
    return _rows(jobs, outcomes)


def targets(name: str) -> tuple[Precision | None, ...]:
    """What a method is trained for; None where there is no choice."""
    return TARGETS.get(name, (None,))


def chosen_options() -> dict[str, Options]:
    """Hyper-parameters by method: the demonstration's search for SGD and PSGD, this task's for the others."""
    return demo.chosen_options() | chosen(__package__)


def _rows(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> list[Row]:
    groups: dict[tuple[str, str, str, str], list[tuple[float, Outcome]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        for (name, bits, norm), accuracy in outcome.accuracy.items():
            groups.setdefault((name, _target(name, job.target), bits, norm), []).append((accuracy, outcome))
    # Times are of runs that came to an end.
    sgd = [o.seconds for job, o in zip(jobs, outcomes, strict=True) if job.name == SGD_NAME]
    base, found = sum(sgd) / len(sgd), []
    for (name, target, bits, norm), values in groups.items():
        seconds = [outcome.seconds for _, outcome in values if not outcome.diverged] or [0.0]
        lost = sum(outcome.diverged for _, outcome in values)
        notes = [f"{lost} of {len(values)} runs diverged"] if lost else []
        notes += [outcome.note for _, outcome in values if bits == MIXED and outcome.note]
        method = next(method for method in METHODS if method.name == name)
        found.append(
            Row(
                method=name if target in (FULL, MIXED) or "→ W" in name else f"{name}, {target}",
                needs=str(method.needs if bits == FULL or bits.endswith("A32") else method.activation_needs),
                bits=bits,
                target=target,
                own=bits == target,
                batch_norm=norm,
                relative=sum(seconds) / len(seconds) / base,
                note="; ".join(dict.fromkeys(notes)),
                **rows.statistics([accuracy for accuracy, _ in values], seconds),
            )
        )
    order = [method.name for method in METHODS]
    return sorted(found, key=lambda row: order.index(row.method.split(", W")[0]))


def _target(name: str, target: Precision | None) -> str:
    if target is not None:
        return str(target)
    psgd = next((method.bits for method in demo.METHODS if method.name == name), None)
    return MIXED if name == "Bayesian Bits" else FULL if psgd is None else str(Precision(psgd))


def table(found: Sequence[Row]) -> str:
    """A Markdown table in per cent, its own precision in bold, and under it what it says."""
    precisions = list(dict.fromkeys(row.bits for row in found if row.bits not in (FULL, MIXED)))
    lines = []
    for method in dict.fromkeys(row.method for row in found):
        for norm in NORMS:
            cells = {row.bits: row for row in found if row.method == method and row.batch_norm == norm}
            any_row = next(iter(cells.values()))
            values = [_cell(cells.get(bits)) for bits in (FULL, *precisions)]
            own = _cell(cells[MIXED]) if MIXED in cells else ""
            needs = max((row.needs for row in cells.values()), key=_rank)
            lines.append([method, norm, *values, own, f"{any_row.relative:.1f}", needs])
    heads = ["method", "batch norms", FULL, *precisions, "own mixed bits", "time / SGD", "needs"]
    text = rows.markdown(heads, lines, "ll" + "r" * (len(precisions) + 3) + "l")
    return "\n\n".join([text, *training_words.sentences(found)])


def _rank(needs: str) -> int:
    return [str(need) for need in Need].index(needs)


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return f"**{row.cell}**" if row.own and row.bits != FULL else row.cell


def draw(found: Sequence[Row]) -> Figure:
    """Accuracy at each precision, a line of marks for each method."""
    from psgd_ref.figures.comparisons import training_time

    return training_time.draw(found)
