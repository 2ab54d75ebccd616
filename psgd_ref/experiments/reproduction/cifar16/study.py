"""The table `cifar16`: a search on validation images, then every method with what it chose on test images."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.reproduction.cifar16 import recipe
from psgd_ref.experiments.reproduction.cifar16.recipe import FAMILY, Method, Options
from psgd_ref.experiments.reproduction.cifar16.runs import Branch, Outcome, Trunk, as_json, branch, trunk
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import REESTIMATED
from psgd_ref.experiments.store.arrays import ArrayStore

# The search has trunks of its own, so that nothing of the table was looked at before.
SEARCH_SEEDS = (1000,)
BITS = (4, 3, 2)
# At 4 bits there is nothing to choose between: the options of 3 bits are used.
SEARCHED = (3, 2)


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
        return Result(tuple(record["seeds"]), [Trial(**trial) for trial in record["trials"]], runs)


def run(seeds: Sequence[int], store: ArrayStore, data_folder: Path | None) -> Result:
    """Search, then train and measure what is not in the store yet; killed and called again it goes on."""
    store.all(trunk, [Trunk(seed) for seed in (*SEARCH_SEEDS, *seeds)], "trunks", (data_folder,))
    trials = _search(store, data_folder)
    jobs = list(table_jobs(trials, seeds))
    found = [Outcome.read(arrays) for arrays in store.all(branch, jobs, "table", (data_folder, store))]
    return Result(tuple(seeds), trials, list(zip(jobs, found, strict=True)))


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
    """The options of the best trial at a width; the first of equals."""
    bits = min(bits, max(SEARCHED))
    own = [trial for trial in trials if (trial.method, trial.bits) == (method.name, bits)]
    return max(own, key=lambda trial: trial.validation).options


def table_jobs(trials: Sequence[Trial], seeds: Sequence[int]) -> Iterator[Branch]:
    """Every run of the table, each once."""
    wanted: dict[str, Branch] = {}

    def add(method: Method, bits: int, options: Options) -> None:
        for seed in seeds:
            job = Branch(method.name, _width(method, bits), options, seed, "test")
            wanted.setdefault(str(job), job)

    for bits in BITS:
        for method in recipe.methods(bits):
            add(method, bits, chosen(trials, method, bits))
        add(recipe.DOUBLE, bits, double_rate(trials, bits))
    for options in recipe.DECAY.candidates:
        add(recipe.DECAY, 2, options)
    for member in FAMILY:
        add(member.method, 2, family_options(trials, member))
    yield from wanted.values()


def double_rate(trials: Sequence[Trial], bits: int) -> Options:
    """SGD at twice the rate that it chose: PSGD's mean scale is 2 where weights are spread evenly."""
    sgd = chosen(trials, recipe.SGD_ROW, bits)
    return {**sgd, "lr": 2 * sgd.get("lr", recipe.RATE)}


def family_options(trials: Sequence[Trial], member: recipe.Family) -> Options:
    """A family member's options, from what its parts chose alone."""
    parts = (recipe.DECAY, recipe.QUADRATIC, recipe.AT_GRID)
    return member.options(*(chosen(trials, part, 2) for part in parts))


def _width(method: Method, bits: int) -> int:
    return bits if method.bits else 0


def _with_sgd(trials: Sequence[Trial], method: Method, bits: int, options: Options) -> Options:
    return {**chosen(trials, recipe.SGD_ROW, bits), **options} if method.rounds else options
