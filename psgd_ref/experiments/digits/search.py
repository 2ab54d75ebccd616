"""The search for the demonstration's hyper-parameters: one rule, one budget, validation images alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.digits.recipe import BASELINE, GRID_DECAY_W2, METHODS
from psgd_ref.experiments.digits.study import PRECISIONS, Accuracies, Run, measure
from psgd_ref.experiments.shared.methods import Method
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.search_record import Options, save_record
from psgd_ref.experiments.shared.tables import markdown
from psgd_ref.experiments.shared.workers import run_all

# The same number of candidates for every method: three rates, two momenta, and two values of what else
# matters to it, weight decay for SGD and ε for PSGD. Decay to the grid has momentum 0.9, and two strengths
# and two places of the gradient instead. The seeds are not those of the demonstration.
RATES, MOMENTA = (0.1, 0.3, 1.0), (0.0, 0.9)
GRID_DECAYS, PLACES = (0.1, 0.3), (0.0, 1.0)
SGD_DECAYS, PSGD_EPSILONS = (5e-4, 1e-4), (0.0, 0.01)
SEEDS = (1000, 1001, 1002)
RULE = (
    "Each method takes the candidate with the highest mean validation accuracy at the precision it is "
    "trained for (full precision for SGD), on its own grid with batch norms re-estimated; of equals the "
    "first. A run that diverges counts as 0."
)


@dataclass(frozen=True)
class Trial:
    """A candidate with its validation accuracies (0 … 1) by precision, means over the search seeds."""

    method: str
    options: Options
    validation: Accuracies

    def as_json(self) -> dict[str, Any]:
        """The trial as plain values."""
        validation = {precision.label: mean for precision, mean in self.validation.items()}
        return {"method": self.method, "options": self.options, "validation": validation}

    @staticmethod
    def read(record: dict[str, Any]) -> "Trial":
        """The trial that `as_json` wrote."""
        validation = {Precision.read(label): mean for label, mean in record["validation"].items()}
        return Trial(record["method"], record["options"], validation)


@dataclass(frozen=True)
class Search:
    """All trials, and the hyper-parameters that the rule chose for each method."""

    trials: list[Trial]
    chosen: dict[str, Options]

    def save(self, folder: Path) -> Path:
        """Write the record into `folder` and return its path."""
        return save_record(self.as_json(), folder)

    def as_json(self) -> dict[str, Any]:
        """The record as plain numbers, with the rule in words."""
        trials = [trial.as_json() for trial in self.trials]
        return {"rule": RULE, "seeds": list(SEEDS), "trials": trials, "chosen": self.chosen}

    def table(self) -> str:
        """Every candidate as a line of Markdown, accuracies in per cent, the chosen ones marked."""
        heads = ["method", "options", *(precision.label for precision in PRECISIONS), ""]
        lines = []
        for trial in self.trials:
            options = ", ".join(f"{name} {value:g}" for name, value in trial.options.items())
            means = [f"{100 * trial.validation[precision]:.1f}" for precision in PRECISIONS]
            mark = "chosen" if trial.options == self.chosen.get(trial.method) else ""
            lines.append([trial.method, options, *means, mark])
        return markdown(heads, lines, "l" * len(heads))


def candidates(method: Method) -> list[Options]:
    """The options to try for a method, the same number for each."""
    second, third = ("momentum", MOMENTA), ("eps", PSGD_EPSILONS)
    if method == BASELINE:
        third = ("weight_decay", SGD_DECAYS)
    elif method == GRID_DECAY_W2:
        second, third = ("grid_decay", GRID_DECAYS), ("gradient_at", PLACES)
    return [
        {"lr": lr, second[0]: one, third[0]: other} for lr in RATES for one in second[1] for other in third[1]
    ]


def search(workers: int | None = None) -> Search:
    """Train every candidate of every method and choose by `RULE`."""
    grouped = [(method, options) for method in METHODS for options in candidates(method)]
    jobs = [Run(method, options, seed, "validation") for method, options in grouped for seed in SEEDS]
    scores = iter(run_all(_score, jobs, workers, "searching"))
    trials: list[Trial] = []
    for method, options in grouped:
        runs = [next(scores) for _ in SEEDS]
        means = {p: float(np.mean([run[p] for run in runs])) for p in PRECISIONS}
        trials.append(Trial(method.name, options, means))
    return Search(trials, choose(trials))


def choose(trials: list[Trial]) -> dict[str, Options]:
    """The options of each method by `RULE`."""
    found = {}
    for method in METHODS:
        own = [trial for trial in trials if trial.method == method.name]
        found[method.name] = max(own, key=lambda trial: trial.validation[method.target]).options
    return found


def _score(run: Run) -> Accuracies:
    try:
        return measure(run).accuracy[run.method.grid]
    except ArithmeticError:
        return dict.fromkeys(PRECISIONS, 0.0)
