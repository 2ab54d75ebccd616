"""The task "quantization": models trained in several ways × post-training methods × batch norms."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from matplotlib.figure import Figure

from psgd_ref.data import load_digits
from psgd_ref.experiments.comparisons import methods as registry
from psgd_ref.experiments.comparisons.methods import Method, Need
from psgd_ref.experiments.comparisons.quantization import (
    post_training,
)
from psgd_ref.experiments.comparisons.quantization import (
    sentences as quantization_words,
)
from psgd_ref.experiments.comparisons.quantization.post_training import Calibration
from psgd_ref.experiments.digits import study as demo
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.precision import Precision, parse_precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.training import accuracy

WEIGHT_BITS, ACTIVATION_BITS = (8, 4, 3, 2), (None, 8, 4)
PRECISIONS = tuple(Precision(w, a) for a in ACTIVATION_BITS for w in WEIGHT_BITS)
FULL, NONE = "full", "none"


def _training(method: demo.Method) -> Method:
    if method.bits is None:
        return Method(
            method.name, "training", Need.NOTHING, Need.NOTHING, "the model that everybody has", "-"
        )
    options = f"min-max grid of {method.bits} bits, λ* = 8/Δ, chosen by `psgd-ref demo --search`"
    return Method(method.name, "training", Need.TRAINING, Need.TRAINING, options, "Kim, Yoo, Kwak 2020")


METHODS: tuple[Method, ...] = (
    *(_training(method) for method in demo.METHODS),
    Method(
        "min-max",
        "post-training",
        Need.NOTHING,
        Need.IMAGES,
        "Δ = max|w|/K; activations up to their largest value",
        "the official code of Kim, Yoo, Kwak 2020",
    ),
    Method(
        "MSE",
        "post-training",
        Need.NOTHING,
        Need.IMAGES,
        "least squared error of weights; and of activations",
        "standard",
    ),
    Method(
        "ACIQ",
        "post-training",
        Need.NOTHING,
        Need.IMAGES,
        "Laplace law, channel means corrected; half range for activations",
        "Banner, Nahshan, Soudry 2019",
    ),
    Method(
        "AdaptivFloat",
        "post-training",
        Need.NOTHING,
        Need.IMAGES,
        "⌈n/2⌉ exponent bits, at most 3; the same format for activations",
        "Tambe et al. 2019",
    ),
    Method(
        "LAPQ",
        "post-training",
        Need.LABELS,
        Need.LABELS,
        "512 training images, 100 losses in the joint search, channel means corrected",
        "Nahshan et al. 2020",
    ),
    Method(
        "DFQ",
        "post-training",
        Need.NOTHING,
        Need.NOTHING,
        "min-max grid; activation ranges β + 6|γ|",
        "Nagel et al. 2019",
    ),
    Method(AS_TRAINED, "batch norm", Need.NOTHING, Need.NOTHING, "statistics of training", "-"),
    Method(
        REESTIMATED,
        "batch norm",
        Need.IMAGES,
        Need.IMAGES,
        "statistics of the quantized network on the training images",
        "as in Nagel et al. 2022, for trained networks",
    ),
)


@dataclass(frozen=True)
class Row(rows.Row):
    """One line: `method` is trained + post-training, batch norm.

    needs   : beside a trained model; PSGD's rows need training from scratch, whatever follows
    seconds : mean time of a seed's quantization and mending; of training in rows at full precision
    """

    trained: str
    post: str
    batch_norm: str


@dataclass(frozen=True)
class Job:
    """One model to train, and everything that is then done to it."""

    trained: demo.Method
    options: dict[str, Any]
    seed: int
    posts: tuple[str, ...]
    norms: tuple[str, ...]
    precisions: tuple[Precision, ...]


Key = tuple[str, str, str, str]


def measure(job: Job) -> dict[Key, tuple[float, float]]:
    """Train, and then accuracy and seconds of (trained, post-training, batch norm, precision)."""
    data = load_digits()
    test, labels = data.normalise(data.test.images), data.test.labels
    start = perf_counter()
    model = demo.train(demo.Run(job.trained, job.options, job.seed, "test")).model
    name, found = job.trained.name, {}
    found[name, NONE, AS_TRAINED, FULL] = (accuracy(model, test, labels), perf_counter() - start)
    calibration = Calibration.of(data)
    for post in job.posts:
        for precision in job.precisions:
            for variant in post_training.variants(post, model, precision, calibration, job.norms):
                right = accuracy(variant.model, test, labels)
                found[name, post, variant.batch_norm, str(precision)] = (right, variant.seconds)
    return found


def run(
    seeds: Sequence[int], names: Sequence[str] = (), bits: Sequence[str] = (), workers: int | None = None
) -> list[Row]:
    """Train the demonstration's models and put every named method on them; all when none is named.

    names : of any kind; a kind of which none is named takes part in full
    bits  : precisions as "W3A8"; by default weights of 8, 4, 3, 2 bits × activations of 32, 8, 4
    Hyper-parameters are the demonstration's, so that nothing is tuned here. Test images are looked at
    once, in the end. Raises ValueError for an unknown name or precision.
    """
    registry.check_names(METHODS, names)
    trained, posts, norms = (
        registry.named(METHODS, kind, names) for kind in ("training", "post-training", "batch norm")
    )
    chosen = demo.chosen_options()
    jobs = [
        Job(
            method,
            chosen[method.name],
            seed,
            tuple(m.name for m in posts),
            tuple(m.name for m in norms),
            tuple(parse_precision(text) for text in bits) or PRECISIONS,
        )
        for method in demo.METHODS
        if method.name in {m.name for m in trained}
        for seed in seeds
    ]
    found = rows.gathered(run_all(measure, jobs, workers, "comparing"))
    return [_row(key, values) for key, values in found.items()]


def table(found: Sequence[Row]) -> str:
    """One Markdown table for each width of activations, per cent, and under them what they say."""
    parts = [_full_precision(found)]
    for activations in dict.fromkeys(bits.partition("A")[2] for bits in _columns(found)):
        parts.append(_matrix(found, activations))
    return "\n\n".join([*parts, *quantization_words.sentences(found)])


def draw(found: Sequence[Row]) -> Figure:
    """Accuracy by post-training method, a panel for each precision."""
    from psgd_ref.figures.comparisons import quantization

    return quantization.draw(found)


def _row(key: Key, values: list[tuple[float, float]]) -> Row:
    trained, post, norm, bits = key
    quantized = bits not in (FULL,) and not bits.endswith("A32")
    parts = [method for method in METHODS if method.name in (trained, post, norm)]
    needs = max((_needs(method, quantized) for method in parts), default=Need.NOTHING)
    return Row(
        method=trained if post == NONE else f"{trained} + {post}, {norm}",
        needs=str(needs),
        bits=bits,
        trained=trained,
        post=post,
        batch_norm=norm,
        **rows.statistics([accuracy for accuracy, _ in values], [seconds for _, seconds in values]),
    )


def _needs(method: Method, activations: bool) -> Need:
    return max(method.needs, method.activation_needs) if activations else method.needs


def _columns(found: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.bits for row in found if row.bits != FULL))


def _full_precision(found: Sequence[Row]) -> str:
    lines = [[r.trained, r.cell, f"{r.seconds:.0f}"] for r in found if r.bits == FULL]
    return rows.markdown(["trained by", "full precision", "seconds"], lines, "lrr")


def _matrix(found: Sequence[Row], activations: str) -> str:
    """Trained × post-training × batch norm, by bits of the weights."""
    columns = [bits for bits in _columns(found) if bits.partition("A")[2] == activations]
    groups: dict[Key, dict[str, Row]] = {}
    for row in found:
        if row.bits in columns:
            groups.setdefault((row.trained, row.post, row.batch_norm, row.needs), {})[row.bits] = row
    lines = []
    for (trained, post, norm, needs), cells in groups.items():
        seconds = max(row.seconds for row in cells.values())
        values = [cells[bits].cell if bits in cells else "" for bits in columns]
        lines.append([trained, post, norm, *values, needs, f"{seconds:.1f}"])
    heads = ["trained by", "quantized by", "batch norms", *columns, "needs", "seconds"]
    return rows.markdown(heads, lines, "lll" + "r" * len(columns) + "lr")
