"""A search on validation images at the smaller size, then every method with what it chose on test images."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.reproduction.branches import recipe, sizes
from psgd_ref.experiments.reproduction.branches.recipe import FAMILY, Method, Options
from psgd_ref.experiments.reproduction.branches.runs import Branch, Outcome, Trunk, as_json, branch, trunk
from psgd_ref.experiments.reproduction.branches.sizes import Size
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import REESTIMATED
from psgd_ref.experiments.shared.search_record import read_record
from psgd_ref.experiments.store.arrays import ArrayStore

# The search has trunks of its own, so that nothing of the table was looked at before.
SEARCH_SEEDS = (1000,)
# At 4 bits there is nothing to choose between: the options of 3 bits are used.
SEARCHED = (3, 2)
RULE = (
    "Each method takes the candidate with the highest validation accuracy at the width it is trained for, "
    "on the grid of least squared error (LSQ: its own) with batch norms re-estimated; W4 takes that of W3. "
    "A run that diverges counts as 0."
)


@dataclass(frozen=True)
class Trial:
    """Options of a method at a width, and their mean accuracy on validation images, BN re-estimated."""

    method: str
    bits: int
    options: Options
    validation: float


@dataclass(frozen=True)
class Result:
    """What the search tried, and every run of the table with what it gave."""

    size: Size
    seeds: tuple[int, ...]
    trials: list[Trial]
    runs: list[tuple[Branch, Outcome]]

    @cached_property
    def _outcomes(self) -> dict[str, Outcome]:
        return {str(job): outcome for job, outcome in self.runs}

    def outcome(self, job: Branch) -> Outcome:
        """What a run of the table gave; KeyError for one that is not in it."""
        return self._outcomes[str(job)]

    def chosen(self, method: Method, bits: int) -> Options:
        """The options of the best trial at a width; the first of equals."""
        return chosen(self.trials, method, bits)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "size": self.size.name,
            "seeds": list(self.seeds),
            "trials": [asdict(trial) for trial in self.trials],
            "runs": [as_json(job, outcome) for job, outcome in self.runs],
        }

    @staticmethod
    def read(record: dict[str, Any]) -> "Result":
        """The result that `as_json` wrote."""
        runs = []
        for each in record["runs"]:
            values = dict(each)
            accuracy = {
                (norm, Precision.read(label)): value
                for norm, own in values.pop("accuracy").items()
                for label, value in own.items()
            }
            error = values.pop("error")
            runs.append((Branch(**values), Outcome(accuracy, float("nan") if error is None else error)))
        size, trials = sizes.SIZES[record["size"]], read_trials(record)
        return Result(size, tuple(record["seeds"]), trials, runs)

    def search_record(self) -> dict[str, Any]:
        """What the search tried, by which rule, as the other size reads it."""
        found = self.as_json()
        return {"rule": RULE, "seeds": list(SEARCH_SEEDS), "trials": found["trials"]}


def run(size: Size, seeds: Sequence[int], store: ArrayStore, data_folder: Path | None) -> Result:
    """Search where the size does, then train and measure what is not in the store yet.

    Killed and called again it resumes.
    """
    begun = (*SEARCH_SEEDS, *seeds) if size.searches else seeds
    store.all(trunk, [Trunk(seed, size.name) for seed in begun], "trunks", (data_folder,))
    trials = _search(store, data_folder) if size.searches else read_trials(read_record(__package__ or ""))
    jobs = list(table_jobs(size, trials, seeds))
    found = [Outcome.read(arrays) for arrays in store.all(branch, jobs, "table", (data_folder, store))]
    return Result(size, tuple(seeds), trials, list(zip(jobs, found, strict=True)))


def read_trials(record: dict[str, Any]) -> list[Trial]:
    """Those of a record."""
    return [Trial(**trial) for trial in record["trials"]]


def _search(store: ArrayStore, data_folder: Path | None) -> list[Trial]:
    """SGD first, since AdaRound rounds the best of its models."""
    trials: list[Trial] = []
    for methods in ([m for m in recipe.METHODS if not m.rounds], [m for m in recipe.METHODS if m.rounds]):
        wanted = [(m, bits, options) for m in methods for bits in SEARCHED for options in m.candidates]
        jobs = [
            [
                Branch(m.name, _width(m, bits), _with_sgd(trials, m, bits, o), seed, "validation")
                for seed in SEARCH_SEEDS
            ]
            for m, bits, o in wanted
        ]
        # SGD's model serves all widths: one run, looked at twice.
        single = {str(job): job for several in jobs for job in several}
        arrays = store.all(branch, list(single.values()), "search", (data_folder, store))
        found = dict(zip(single, map(Outcome.read, arrays), strict=True))
        for (m, bits, _), several in zip(wanted, jobs, strict=True):
            values = [found[str(job)].accuracy[REESTIMATED, Precision(bits)] for job in several]
            trials.append(Trial(m.name, bits, several[0].options, float(np.mean(values))))
    return trials


def chosen(trials: Sequence[Trial], method: Method, bits: int) -> Options:
    """The options of the best trial at a width, the first of equals; of `DOUBLE` twice the rate of SGD.

    PSGD's mean scale is 2 where weights are spread evenly.
    """
    if method is recipe.DOUBLE:
        sgd = chosen(trials, recipe.SGD_ROW, bits)
        return {**sgd, "lr": 2 * sgd.get("lr", recipe.RATE)}
    bits = min(bits, max(SEARCHED))
    own = [trial for trial in trials if (trial.method, trial.bits) == (method.name, bits)]
    return max(own, key=lambda trial: trial.validation).options


def table_jobs(size: Size, trials: Sequence[Trial], seeds: Sequence[int]) -> Iterator[Branch]:
    """Every run of the table, each once."""
    wanted: dict[str, Branch] = {}

    def add(method: Method, bits: int, options: Options) -> None:
        for seed in seeds:
            job = Branch(method.name, _width(method, bits), options, seed, "test", size.name)
            wanted.setdefault(str(job), job)

    for bits, methods in size.rows.items():
        for method in methods:
            add(method, bits, chosen(trials, method, bits))
    if size.family:
        for options in recipe.DECAY.candidates:
            add(recipe.DECAY, 2, options)
        for member in FAMILY:
            add(member.method, 2, family_options(trials, member))
    yield from wanted.values()


def family_options(trials: Sequence[Trial], member: recipe.Family) -> Options:
    """A family member's options, from what its parts chose alone."""
    parts = (recipe.DECAY, recipe.QUADRATIC, recipe.AT_GRID)
    return member.options(*(chosen(trials, part, 2) for part in parts))


def _width(method: Method, bits: int) -> int:
    return bits if method.bits else 0


def _with_sgd(trials: Sequence[Trial], method: Method, bits: int, options: Options) -> Options:
    return {**chosen(trials, recipe.SGD_ROW, bits), **options} if method.rounds else options
