"""The search for the training methods' hyper-parameters: one rule, one budget, validation images alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.comparisons.shared.bit_learning import BAYESIAN_BITS, GATES, RATE
from psgd_ref.experiments.comparisons.training.measure import Job, Outcome, chosen_options, measure
from psgd_ref.experiments.comparisons.training.methods import METHODS, QUANTIZATION_AWARE, W2, W2A2, targets
from psgd_ref.experiments.digits.recipe import BASELINE
from psgd_ref.experiments.shared.methods import method_of
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.rows import REESTIMATED
from psgd_ref.experiments.shared.search_record import Options, save_record
from psgd_ref.experiments.shared.workers import run_all

# Three candidates for every method, two for those whose run takes about three times as long as SGD's: a
# like amount of work for each. The seeds are not those of the table.
RATES = (0.1, 0.3, 1.0)
CANDIDATES: dict[str, list[Options]] = {
    **{
        method.name: [{"lr": lr} for lr in RATES]
        for method in METHODS
        if method.name in QUANTIZATION_AWARE - {BAYESIAN_BITS, "LSQ + dampening"}
    },
    "LSQ + dampening": [{"lr": 0.1, "dampening": s} for s in (1e-3, 1e-2, 1e-1)],
    BAYESIAN_BITS: [{"lr": RATE, "mu": mu, "gates": GATES} for mu in (3e-4, 1e-3, 3e-3)],
    "quadratic pull": [{"pull": pull} for pull in (0.005, 0.02, 0.1)],
    "quadratic pull, gradient at w̄": [{"pull": pull, "gradient_at": 1.0} for pull in (0.02, 0.1, 0.3)],
    "ProxQuant": [{"pull": pull} for pull in (1e-4, 1e-3, 1e-2)],
    "PARQ": [{"steepness": steepness} for steepness in (10.0, 20.0, 40.0)],
    "gradient-L1": [{"strength": strength} for strength in (3e-4, 1e-3)],
    "HALP": [{"lr": lr, "mu": 10.0} for lr in (0.3, 1.0)],
}
SEEDS = (1000, 1001, 1002)
# What the search measures at, and where it chooses other than at a method's own target.
PRECISIONS = (Precision(4), Precision(3), W2, Precision(4, 4), W2A2)
CHOSEN_AT = {"gradient-L1": Precision(3)}
LEAST = 0.01
OPERATIONS = 16.0
RULE = (
    "Each method takes the candidate with the highest mean validation accuracy, batch norms re-estimated, "
    "at what it is trained for: W2 with its own quantizers for the quantization-aware ones, W2 on the MSE "
    "grid for those that are pulled to it, W3 on the "
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
    validation: dict[Precision, float]
    operations: float

    def as_json(self) -> dict[str, Any]:
        """The trial as plain values."""
        return {**vars(self), "validation": {str(bits): mean for bits, mean in self.validation.items()}}

    @staticmethod
    def read(record: dict[str, Any]) -> "Trial":
        """The trial that `as_json` wrote."""
        validation = {Precision.read(text): mean for text, mean in record["validation"].items()}
        return Trial(**{**record, "validation": validation})


@dataclass(frozen=True)
class Search:
    """All trials, and the hyper-parameters that the rule chose for each method."""

    trials: list[Trial]
    chosen: dict[str, Options]

    def as_json(self) -> dict[str, Any]:
        """The record as plain numbers, with the rule in words."""
        trials = [trial.as_json() for trial in self.trials]
        return {"rule": RULE, "seeds": list(SEEDS), "trials": trials, "chosen": self.chosen}

    def save(self, folder: Path) -> Path:
        """Write the record into `folder` and return its path."""
        return save_record(self.as_json(), folder)


def search(workers: int | None = None) -> Search:
    """Train every candidate of every method and choose by `RULE`."""
    grouped = [(BASELINE.name, chosen_options()[BASELINE.name])]
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
        keys = dict.fromkeys(precision for run in runs for (who, precision, _) in run.accuracy if who == name)
        means = {
            precision: float(np.mean([run.accuracy.get((name, precision, REESTIMATED), 0.0) for run in runs]))
            for precision in keys
        }
        trials.append(Trial(name, options, means, float(np.mean([run.operations for run in runs]))))
    return Search(trials, choose(trials))


def choose(trials: list[Trial]) -> dict[str, Options]:
    """The options of each method by `RULE`."""
    floor = max(t.validation.get(FULL, 0.0) for t in trials if t.method == BASELINE.name) - LEAST
    found: dict[str, Options] = {}
    for name in dict.fromkeys(t.method for t in trials if t.method != BASELINE.name):
        every = [t for t in trials if t.method == name]
        allowed = every
        if name == "gradient-L1":
            allowed = [t for t in every if t.validation.get(FULL, 0.0) >= floor]
        if name == BAYESIAN_BITS:
            allowed = [t for t in every if t.operations <= OPERATIONS]
        found[name] = max(allowed or every, key=lambda t: t.validation.get(chosen_at(t.method), 0.0)).options
    return found


def chosen_at(name: str) -> Precision:
    """The precision that a method is chosen by."""
    return CHOSEN_AT.get(name, method_of(METHODS, name).target)


def _score(job: Job) -> Outcome:
    try:
        return measure(job)
    except ArithmeticError:
        return Outcome({}, 0.0, "", 32.0 * 32.0)
