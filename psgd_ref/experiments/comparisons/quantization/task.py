"""The task "quantization": models trained in several ways × post-training methods × batch norms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from matplotlib.figure import Figure

from psgd_ref.experiments.comparisons.quantization.sentences import sentences
from psgd_ref.experiments.comparisons.shared.post_training import Calibration, variants
from psgd_ref.experiments.comparisons.shared.task import Task
from psgd_ref.experiments.digits import recipe, study
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.methods import Method, Need, check_names, named
from psgd_ref.experiments.shared.precision import FULL, Precision, parse_precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.tables import markdown
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.training import accuracy

WEIGHT_BITS, ACTIVATION_BITS = (8, 4, 3, 2), (None, 8, 4)
PRECISIONS = tuple(Precision(w, a) for a in ACTIVATION_BITS for w in WEIGHT_BITS)
# Of models that are not quantized.
NONE = "none"


def _post(name: str, needs: Need, activation_needs: Need, options: str, paper: str) -> Method:
    return Method(name, "post-training", needs, options, paper, activation_needs)


POST_TRAINING: tuple[Method, ...] = (
    _post(
        "min-max",
        Need.NOTHING,
        Need.IMAGES,
        "Δ = max|w|/K; activations up to their largest value",
        "the official code of Kim, Yoo, Kwak 2020",
    ),
    _post("MSE", Need.NOTHING, Need.IMAGES, "least squared error of weights; and of activations", "standard"),
    _post(
        "ACIQ",
        Need.NOTHING,
        Need.IMAGES,
        "Laplace law, channel means corrected; half range for activations",
        "Banner, Nahshan, Soudry 2019",
    ),
    _post(
        "AdaptivFloat",
        Need.NOTHING,
        Need.IMAGES,
        "⌈n/2⌉ exponent bits, at most 3; the same format for activations",
        "Tambe et al. 2019",
    ),
    _post(
        "LAPQ",
        Need.LABELS,
        Need.LABELS,
        "512 training images, 100 losses in the joint search, channel means corrected",
        "Nahshan et al. 2020",
    ),
    _post(
        "AdaRound",
        Need.IMAGES,
        Need.IMAGES,
        "MSE grid, 512 training images, 300 steps a layer; activations: least squared error",
        "Nagel et al. 2020",
    ),
    _post("DFQ", Need.NOTHING, Need.NOTHING, "min-max grid; activation ranges β + 6|γ|", "Nagel et al. 2019"),
)
METHODS: tuple[Method, ...] = (
    *recipe.METHODS,
    *POST_TRAINING,
    Method(AS_TRAINED, "batch norm", Need.NOTHING, "statistics of training", "-"),
    Method(
        REESTIMATED,
        "batch norm",
        Need.IMAGES,
        "statistics of the quantized network on the training images",
        "as in Nagel et al. 2022, for trained networks",
    ),
)


@dataclass(frozen=True)
class Row(rows.Row):
    """One line: a trained model, a post-training method on it, a treatment of batch norms.

    `needs` is beside a trained model; PSGD's rows need training from scratch, whatever follows. `seconds`
    is the mean time of a seed's quantization and re-estimation; of training in rows at full precision.

    Parameters
    ----------
    trained, post, batch_norm : str
        The three methods by name, `post` "none" at full precision; `method` is all three together.
    """

    trained: str
    post: str
    batch_norm: str


@dataclass(frozen=True)
class Key:
    """What one accuracy is of."""

    trained: str
    post: str
    batch_norm: str
    precision: Precision


@dataclass(frozen=True)
class Job:
    """One model to train, and everything that is then done to it."""

    run: study.Run
    posts: tuple[str, ...]
    norms: tuple[str, ...]
    precisions: tuple[Precision, ...]


def measure(job: Job) -> dict[Key, tuple[float, float]]:
    """Train, and then accuracy and seconds of every post-training method, batch norm and precision."""
    data = recipe.data()
    test, labels = data.normalise(data.test.images), data.test.labels
    start = perf_counter()
    model = study.train(job.run)
    seconds = perf_counter() - start
    whole = Key(job.run.method.name, NONE, AS_TRAINED, FULL)
    found = {whole: (accuracy(model, test, labels), seconds)}
    calibration = Calibration.of(data)
    for post in job.posts:
        for precision in job.precisions:
            for variant in variants(post, model, precision, calibration, job.norms):
                key = replace(whole, post=post, batch_norm=variant.batch_norm, precision=precision)
                found[key] = (accuracy(variant.model, test, labels), variant.seconds)
    return found


def run(
    seeds: Sequence[int], names: Sequence[str] = (), bits: Sequence[str] = (), workers: int | None = None
) -> list[Row]:
    """Train the demonstration's models and put every named method on them; all when none is named.

    Hyper-parameters are the demonstration's, so that nothing is tuned here. Test images are looked at
    once, in the end.

    Parameters
    ----------
    seeds : sequence of int
        One run each.
    names : sequence of str
        Of any kind; a kind of which none is named takes part in full.
    bits : sequence of str
        Precisions as "W3A8"; by default weights of 8, 4, 3, 2 bits × activations of 32, 8, 4.
    workers : int, optional
        Processes, by default one for each core.

    Raises
    ------
    ValueError
        For an unknown name or precision.
    """
    check_names(METHODS, names)
    posts, norms = (
        tuple(method.name for method in named(METHODS, kind, names))
        for kind in ("post-training", "batch norm")
    )
    precisions = tuple(parse_precision(text) for text in bits) or PRECISIONS
    chosen = recipe.chosen_options()
    jobs = [
        Job(study.Run(method, chosen[method.name], seed, "test"), posts, norms, precisions)
        for method in named(METHODS, "training", names)
        for seed in seeds
    ]
    found = rows.gathered(run_all(measure, jobs, workers, "comparing"))
    return [row_of(key, values) for key, values in found.items()]


def row_of(key: Key, values: Sequence[tuple[float, float]]) -> Row:
    """The row of several runs, from accuracy and seconds of each."""
    parts = [method for method in METHODS if method.name in (key.trained, key.post, key.batch_norm)]
    quantized = f"{key.trained} + {key.post}, {key.batch_norm}"
    return Row(
        method=key.trained if key.post == NONE else quantized,
        needs=max(method.needs_at(key.precision) for method in parts),
        **vars(key),
        **rows.statistics([accuracy for accuracy, _ in values], [seconds for _, seconds in values]),
    )


def table(found: Sequence[Row]) -> str:
    """One Markdown table for each width of activations, per cent, and under them what they say."""
    parts = [_full_precision(found)]
    for activations in dict.fromkeys(precision.activations for precision in _columns(found)):
        parts.append(_matrix(found, activations))
    return "\n\n".join([*parts, *sentences(found)])


def draw(found: Sequence[Row]) -> Figure:
    """Accuracy by post-training method, a panel for each precision."""
    from psgd_ref.figures.comparisons import quantization

    return quantization.draw(found)


def _columns(found: Sequence[Row]) -> list[Precision]:
    return list(dict.fromkeys(row.precision for row in found if row.precision != FULL))


def _full_precision(found: Sequence[Row]) -> str:
    lines = [[r.trained, r.cell, f"{r.seconds:.0f}"] for r in found if r.precision == FULL]
    return markdown(["trained by", "full precision", "seconds"], lines, "lrr")


def _matrix(found: Sequence[Row], activations: int | None) -> str:
    """Trained × post-training × batch norm, by bits of the weights."""
    columns = [precision for precision in _columns(found) if precision.activations == activations]
    groups: dict[tuple[str, str, str, Need], dict[Precision, Row]] = {}
    for row in found:
        if row.precision in columns:
            line = (row.trained, row.post, row.batch_norm, row.needs)
            groups.setdefault(line, {})[row.precision] = row
    lines = []
    for (trained, post, norm, needs), cells in groups.items():
        seconds = max(row.seconds for row in cells.values())
        values = [cells[precision].cell if precision in cells else "" for precision in columns]
        lines.append([trained, post, norm, *values, str(needs), f"{seconds:.1f}"])
    heads = ["trained by", "quantized by", "batch norms", *map(str, columns), "needs", "seconds"]
    return markdown(heads, lines, "lll" + "r" * len(columns) + "lr")


QUANTIZATION = Task("quantization", METHODS, run, table, draw, Row.read)
