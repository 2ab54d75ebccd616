"""The task "training": methods that act in training, at the precision they are for and at all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from matplotlib.figure import Figure

from psgd_ref.experiments.comparisons.shared.task import Task
from psgd_ref.experiments.comparisons.training.measure import Job, Outcome, chosen_options, measure_or_lose
from psgd_ref.experiments.comparisons.training.methods import METHODS, QUANTIZATION_AWARE, TRAINERS, targets
from psgd_ref.experiments.comparisons.training.search import PRECISIONS, search
from psgd_ref.experiments.comparisons.training.sentences import sentences
from psgd_ref.experiments.digits.recipe import BASELINE
from psgd_ref.experiments.shared import rows
from psgd_ref.experiments.shared.methods import check_names, method_of, named
from psgd_ref.experiments.shared.precision import FULL, MIXED, Precision, parse_precision
from psgd_ref.experiments.shared.rows import NORMS
from psgd_ref.experiments.shared.tables import markdown
from psgd_ref.experiments.shared.workers import run_all


@dataclass(frozen=True)
class Row(rows.Row):
    """One method at one precision; `seconds` are those of CPU that training took, mean over seeds.

    Parameters
    ----------
    target : Precision
        The precision that the method was trained for.
    own : bool
        Whether this row is at that precision, with the quantizers that were trained.
    batch_norm : str
        "as trained" or "re-estimated" on the training images.
    relative : float
        Training time relative to SGD's.
    note : str
        What the row's method found, such as mean bits, and how many of its runs diverged.
    """

    target: Precision
    own: bool
    batch_norm: str
    relative: float
    note: str

    @property
    def title(self) -> str:
        """With the target where the method can be trained for any."""
        return f"{self.method}, {self.target}" if self._named_with_target else self.method

    @property
    def _named_with_target(self) -> bool:
        return self.method in QUANTIZATION_AWARE and self.target != MIXED

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """The row that `as_json` wrote."""
        method = record["method"].removesuffix(f", {record['target']}")
        return super().read({**record, "method": method, "target": Precision.read(record["target"])})


def run(
    seeds: Sequence[int], names: Sequence[str] = (), bits: Sequence[str] = (), workers: int | None = None
) -> list[Row]:
    """Train every named method (all when none is) for every seed and measure on the test images.

    A run that diverges counts as 0, and its row says how many did. Hyper-parameters are those of the
    committed searches.

    Parameters
    ----------
    seeds : sequence of int
        One run each.
    names : sequence of str
        Of `METHODS`. SGD is in every table: times are relative to its.
    bits : sequence of str
        Precisions as "W3A8"; by default W4, W3, W2, W4A4, W2A2.
    workers : int, optional
        Processes, by default one for each core.

    Raises
    ------
    ValueError
        For unknown names or precisions.
    """
    check_names(METHODS, names)
    wanted = {method.name for method in named(METHODS, "training", names)} | {BASELINE.name}
    precisions = tuple(parse_precision(text) for text in bits) or PRECISIONS
    options = chosen_options()
    jobs = [
        Job(method.name, options[method.name], target, seed, precisions)
        for method in METHODS
        if method.name in TRAINERS and method.name in wanted
        for target in targets(method.name)
        for seed in seeds
    ]
    return rows_of(jobs, run_all(measure_or_lose, jobs, workers, "training"))


def rows_of(jobs: Sequence[Job], outcomes: Sequence[Outcome]) -> list[Row]:
    """The rows of all runs, in the order of the methods."""
    groups: dict[tuple[str, Precision, Precision, str], list[tuple[float, Outcome]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        for (name, precision, norm), accuracy in outcome.accuracy.items():
            groups.setdefault((name, job.target, precision, norm), []).append((accuracy, outcome))
    # Times are of runs that came to an end.
    sgd = [o.seconds for job, o in zip(jobs, outcomes, strict=True) if job.name == BASELINE.name]
    base, found = sum(sgd) / len(sgd), []
    for (name, target, precision, norm), values in groups.items():
        seconds = [outcome.seconds for _, outcome in values if not outcome.diverged] or [0.0]
        lost = sum(outcome.diverged for _, outcome in values)
        notes = [f"{lost} of {len(values)} runs diverged"] if lost else []
        notes += [outcome.note for _, outcome in values if precision == MIXED and outcome.note]
        found.append(
            Row(
                method=name,
                needs=method_of(METHODS, name).needs_at(precision),
                precision=precision,
                target=target,
                own=precision == target,
                batch_norm=norm,
                relative=sum(seconds) / len(seconds) / base,
                note="; ".join(dict.fromkeys(notes)),
                **rows.statistics([accuracy for accuracy, _ in values], seconds),
            )
        )
    order = [method.name for method in METHODS]
    return sorted(found, key=lambda row: order.index(row.method))


def table(found: Sequence[Row]) -> str:
    """A Markdown table in per cent, its own precision in bold, and under it what it says."""
    precisions = list(dict.fromkeys(row.precision for row in found if row.precision not in (FULL, MIXED)))
    lines = []
    for title in dict.fromkeys(row.title for row in found):
        for norm in NORMS:
            cells = {row.precision: row for row in found if row.title == title and row.batch_norm == norm}
            any_row = next(iter(cells.values()))
            values = [_cell(cells.get(precision)) for precision in (FULL, *precisions)]
            own = _cell(cells[MIXED]) if MIXED in cells else ""
            needs = max(row.needs for row in cells.values())
            lines.append([title, norm, *values, own, f"{any_row.relative:.1f}", str(needs)])
    heads = ["method", "batch norms", *map(str, (FULL, *precisions)), "own mixed bits", "time / SGD", "needs"]
    text = markdown(heads, lines, "ll" + "r" * (len(precisions) + 3) + "l")
    return "\n\n".join([text, *sentences(found)])


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return f"**{row.cell}**" if row.own and row.precision != FULL else row.cell


def draw(found: Sequence[Row]) -> Figure:
    """Accuracy at each precision, a line of marks for each method."""
    from psgd_ref.figures.comparisons import training

    return training.draw(found)


TRAINING = Task("training", METHODS, run, table, draw, Row.read, search)
