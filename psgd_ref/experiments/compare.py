"""The comparison: models trained in several ways × post-training methods × batch norms × precisions."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from psgd_ref.data import load_digits
from psgd_ref.experiments import compare_words, demo, post_training, registry
from psgd_ref.experiments.pool import run_all
from psgd_ref.experiments.post_training import Calibration, Precision
from psgd_ref.experiments.registry import Method, Need
from psgd_ref.training import accuracy

WEIGHT_BITS, ACTIVATION_BITS = (8, 4, 3, 2), (None, 8, 4)
PRECISIONS = tuple(Precision(w, a) for a in ACTIVATION_BITS for w in WEIGHT_BITS)
FULL, NONE = "full", "none"


@dataclass(frozen=True)
class Row:
    """One line: accuracy (0 … 1) on the test images at one precision, over seeds.

    method     : trained + post-training, batch norm
    needs      : beside a trained model; PSGD's rows need training from scratch, whatever follows
    bits       : "full", or weights and activations as "W3A8"
    mean, sd   : over seeds (sd with n − 1; None for one seed);   accuracies : one for each seed
    seconds    : mean time of a seed's quantization and mending; of training in rows at full precision
    """

    method: str
    needs: str
    bits: str
    mean: float
    sd: float | None
    seeds: int
    seconds: float
    trained: str
    post: str
    batch_norm: str
    accuracies: tuple[float, ...]


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
    found[name, NONE, "as trained", FULL] = (accuracy(model, test, labels), perf_counter() - start)
    calibration = Calibration.of(data)
    for post in job.posts:
        for precision in job.precisions:
            for variant in post_training.variants(post, model, precision, calibration, job.norms):
                right = accuracy(variant.model, test, labels)
                found[name, post, variant.batch_norm, str(precision)] = (right, variant.seconds)
    return found


@dataclass(frozen=True)
class Result:
    """All rows, with what is needed to make them again."""

    rows: list[Row]
    seeds: list[int]
    chosen: dict[str, dict[str, Any]]
    seconds: float

    def table(self) -> str:
        """One Markdown table for each width of activations, per cent, and under them what they say."""
        parts = [_full_precision(self.rows)]
        for activations in dict.fromkeys(bits.partition("A")[2] for bits in _columns(self.rows)):
            parts.append(_matrix(self.rows, activations))
        return "\n\n".join([*parts, *compare_words.sentences(self.rows)])

    def as_json(self) -> list[dict[str, Any]]:
        """The rows as plain numbers."""
        return [asdict(row) for row in self.rows]


def run(
    seeds: Sequence[int],
    names: Sequence[str] = (),
    precisions: Sequence[Precision] = PRECISIONS,
    workers: int | None = None,
    chosen: dict[str, dict[str, Any]] | None = None,
) -> Result:
    """Train the demonstration's models and put every named method on them; all when none is named.

    names      : of any kind in the registry; a kind of which none is named takes part in full
    chosen     : hyper-parameters by training method; by default the demonstration's, so that nothing is
                 tuned here. Test images are looked at once, in the end.
    Raises ValueError for an unknown name.
    """
    start = perf_counter()
    registry.check_names(tuple(names))
    trained, posts, norms = (
        registry.named(kind, tuple(names)) for kind in ("training", "post-training", "batch norm")
    )
    chosen = demonstration_options() if chosen is None else chosen
    methods = [method for method in demo.METHODS if method.name in {m.name for m in trained}]
    jobs = [
        Job(
            method,
            chosen[method.name],
            seed,
            tuple(m.name for m in posts),
            tuple(m.name for m in norms),
            tuple(precisions),
        )
        for method in methods
        for seed in seeds
    ]
    outcomes = run_all(measure, jobs, workers, "comparing")
    found: dict[Key, list[tuple[float, float]]] = {}
    for outcome in outcomes:
        for key, value in outcome.items():
            found.setdefault(key, []).append(value)
    rows = [_row(key, values) for key, values in found.items()]
    return Result(rows, list(seeds), chosen, perf_counter() - start)


def demonstration_options() -> dict[str, dict[str, Any]]:
    """The hyper-parameters that the demonstration's search chose for each way to train."""
    record = resources.files("psgd_ref.experiments").joinpath(demo.SEARCH_FILE).read_text("utf-8")
    options: dict[str, dict[str, Any]] = json.loads(record)["chosen"]
    return options


def save(result: Result, folder: Path) -> dict[str, Path]:
    """Write the tables, the rows and the picture into `folder` and return their paths."""
    from psgd_ref.figures.compare import draw
    from psgd_ref.figures.style import save as save_figure

    folder.mkdir(parents=True, exist_ok=True)
    table, rows = folder / "table.md", folder / "rows.json"
    table.write_text(result.table() + "\n", encoding="utf-8")
    rows.write_text(json.dumps(result.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    picture, _ = save_figure(draw(result.rows), folder / "compare")
    return {"table": table, "rows": rows, "picture": picture}


def parse_precision(text: str) -> Precision:
    """The precision written as "W3A8", "W3" or "3"; ValueError for anything else, or bits outside 2 … 8."""
    weights, _, activations = text.upper().removeprefix("W").partition("A")
    try:
        precision = Precision(int(weights), int(activations) if activations not in ("", "32") else None)
    except ValueError:
        raise ValueError(f"bits must look like W3A8, W3 or 3; got {text!r}") from None
    if not 2 <= precision.weights <= 8 or not 2 <= (precision.activations or 8) <= 8:
        raise ValueError(f"bits of weights and activations must be in 2..8; got {text!r}")
    return precision


def _row(key: Key, values: list[tuple[float, float]]) -> Row:
    trained, post, norm, bits = key
    accuracies = tuple(accuracy for accuracy, _ in values)
    quantized = bits not in (FULL,) and not bits.endswith("A32")
    parts = [method for method in registry.METHODS if method.name in (trained, post, norm)]
    needs = max((_needs(method, quantized) for method in parts), default=Need.NOTHING)
    return Row(
        trained if post == NONE else f"{trained} + {post}, {norm}",
        str(needs),
        bits,
        float(np.mean(accuracies)),
        float(np.std(accuracies, ddof=1)) if len(values) > 1 else None,
        len(values),
        float(np.mean([seconds for _, seconds in values])),
        trained,
        post,
        norm,
        accuracies,
    )


def _needs(method: Method, activations: bool) -> Need:
    return max(method.needs, method.activation_needs) if activations else method.needs


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.bits for row in rows if row.bits != FULL))


def _full_precision(rows: Sequence[Row]) -> str:
    lines = ["| trained by | full precision | seconds |", "|---|---:|---:|"]
    lines += [f"| {r.trained} | {_cell(r)} | {r.seconds:.0f} |" for r in rows if r.bits == FULL]
    return "\n".join(lines)


def _matrix(rows: Sequence[Row], activations: str) -> str:
    """Trained × post-training × batch norm, by bits of the weights."""
    columns = [bits for bits in _columns(rows) if bits.partition("A")[2] == activations]
    heads = ["trained by", "quantized by", "batch norms", *columns, "needs", "seconds"]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---|" + "---:|" * len(columns) + "---|---:|"]
    groups: dict[Key, dict[str, Row]] = {}
    for row in rows:
        if row.bits in columns:
            groups.setdefault((row.trained, row.post, row.batch_norm, row.needs), {})[row.bits] = row
    for (trained, post, norm, needs), cells in groups.items():
        seconds = max(row.seconds for row in cells.values())
        values = [_cell(cells[bits]) if bits in cells else "" for bits in columns]
        lines.append("| " + " | ".join([trained, post, norm, *values, needs, f"{seconds:.1f}"]) + " |")
    return "\n".join(lines)


def _cell(row: Row) -> str:
    spread = "" if row.sd is None else f" ± {100 * row.sd:.1f}"
    return f"{100 * row.mean:.1f}{spread}"
