"""The search for the training methods' hyper-parameters: one rule, one budget, validation images alone."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.comparisons.training.methods import SGD_NAME
from psgd_ref.experiments.comparisons.training.task import (
    FULL,
    MIXED,
    PRECISIONS,
    TARGETS,
    Job,
    Outcome,
    chosen_options,
    measure,
    targets,
)
from psgd_ref.experiments.shared.rows import REESTIMATED
from psgd_ref.experiments.shared.search_record import Options, save_record
from psgd_ref.experiments.shared.workers import run_all

# Three candidates for every method, two for those whose run takes about three times as long as SGD's: a
# like amount of work for each. The seeds are not those of the table.
RATES = (0.03, 0.1, 0.3)
CANDIDATES: dict[str, list[Options]] = {
    **{name: [{"lr": lr} for lr in RATES] for name in TARGETS if name != "LSQ + dampening"},
    "LSQ + dampening": [{"lr": 0.1, "dampening": s} for s in (1e-3, 1e-2, 1e-1)],
    "Bayesian Bits": [{"lr": 0.1, "mu": mu, "gates": 0.3} for mu in (3e-4, 1e-3, 3e-3)],
    "gradient-L1": [{"strength": strength} for strength in (1e-3, 3e-3)],
    "HALP": [{"lr": lr, "mu": 10.0} for lr in (0.3, 1.0)],
}
SEEDS = (1000, 1001, 1002)
LEAST = 0.01
OPERATIONS = 16.0
RULE = (
    "Each method takes the candidate with the highest mean validation accuracy, batch norms re-estimated, "
    "at what it is trained for: W2 with its own quantizers for the quantization-aware ones, W3 on the "
    "min-max grid for gradient-L1, full precision for HALP. gradient-L1 chooses among candidates whose "
    "full-precision accuracy is within one point of SGD's, Bayesian Bits, at its own bits, among those with "
    "at most 16 bit operations a multiplication, as W4A4; where there is none, among all. Of equals the "
    "first; a run that diverges counts as 0. SGD and PSGD have the options of `psgd-ref demo --search`."
)


@dataclass(frozen=True)
class Trial:
    """A candidate: validation accuracies (0 … 1) by precision, and bit operations, means over seeds."""

    method: str
    options: Options
    validation: dict[str, float]
    operations: float


@dataclass(frozen=True)
class Search:
    """All trials, and the hyper-parameters that the rule chose for each method."""

    trials: list[Trial]
    chosen: dict[str, Options]

    def as_json(self) -> dict[str, Any]:
        """The record as plain numbers, with the rule in words."""
        return {"rule": RULE, "seeds": list(SEEDS), **asdict(self)}

    def save(self, folder: Path) -> Path:
        """Write the record into `folder` and return its path."""
        return save_record(self.as_json(), folder)


def search(workers: int | None = None) -> Search:
    """Train every candidate of every method and choose by `RULE`."""
    grouped = [(SGD_NAME, chosen_options()[SGD_NAME])]
    grouped += [(name, options) for name, found in CANDIDATES.items() for options in found]
    jobs = [
        Job(name, options, targets(name)[0], seed, PRECISIONS, "validation")
        for name, options in grouped
        for seed in SEEDS
    ]
    outcomes = iter(run_all(_score, jobs, workers, "searching"))
    trials: list[Trial] = []
    for name, options in grouped:
        runs = [next(outcomes) for _ in SEEDS]
        keys = dict.fromkeys(bits for run in runs for (who, bits, _) in run.accuracy if who == name)
        means = {
            bits: float(np.mean([run.accuracy.get((name, bits, REESTIMATED), 0.0) for run in runs]))
            for bits in keys
        }
        trials.append(Trial(name, options, means, float(np.mean([run.operations for run in runs]))))
    return Search(trials, choose(trials))


def choose(trials: list[Trial]) -> dict[str, Options]:
    """The options of each method by `RULE`."""
    floor = max(t.validation.get(FULL, 0.0) for t in trials if t.method == SGD_NAME) - LEAST
    found = {}
    for name in dict.fromkeys(t.method for t in trials if t.method != SGD_NAME):
        every = [t for t in trials if t.method == name]
        allowed = every
        if name == "gradient-L1":
            allowed = [t for t in every if t.validation.get(FULL, 0.0) >= floor]
        if name == "Bayesian Bits":
            allowed = [t for t in every if t.operations <= OPERATIONS]
        found[name] = max(allowed or every, key=lambda t: t.validation.get(own_column(t.method), 0.0)).options
    return found


def own_column(name: str) -> str:
    """The precision that a method is chosen by."""
    special = {"Bayesian Bits": MIXED, "gradient-L1": "W3A32", "HALP": FULL}
    return special.get(name) or str(targets(name)[0])


def _score(job: Job) -> Outcome:
    try:
        return measure(job)
    except ArithmeticError:
        return Outcome({}, 0.0, "", 32.0 * 32.0)
