"""The search for the demonstration's hyper-parameters: one rule, one budget, validation images alone."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.digits.study import COLUMNS, METHODS, Method, Run, train
from psgd_ref.experiments.shared.rows import markdown
from psgd_ref.experiments.shared.search_record import Options, save_record
from psgd_ref.experiments.shared.workers import run_all

# The same number of candidates for every method: three rates, two momenta, and two values of what
# else matters to it, the decay for SGD and ε for PSGD. The seeds are not those of the demonstration.
RATES, MOMENTA = (0.1, 0.3, 1.0), (0.0, 0.9)
SGD_DECAYS, PSGD_EPSILONS = (5e-4, 1e-4), (0.0, 0.01)
SEEDS = (1000, 1001, 1002)
RULE = (
    "Each method takes the candidate with the highest mean validation accuracy at the precision it is "
    "trained for (full precision for SGD), on the min-max grid with batch norms re-estimated, among "
    "those whose full-precision accuracy is within one point of SGD's best; of equals the first. A run "
    "that diverges counts as 0."
)
FULL_PRECISION_LOSS = 0.01


@dataclass(frozen=True)
class Trial:
    """A candidate with its validation accuracies (0 … 1) by column, means over the search seeds."""

    method: str
    options: Options
    validation: dict[str, float]


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
        return {"rule": RULE, "seeds": list(SEEDS), **asdict(self)}

    def table(self) -> str:
        """Every candidate as a line of Markdown, accuracies in per cent, the chosen ones marked."""
        heads = ["method", "options", *COLUMNS, ""]
        lines = []
        for trial in self.trials:
            options = ", ".join(f"{name} {value:g}" for name, value in trial.options.items())
            means = [f"{100 * trial.validation[column]:.1f}" for column in COLUMNS]
            mark = "chosen" if trial.options == self.chosen.get(trial.method) else ""
            lines.append([trial.method, options, *means, mark])
        return markdown(heads, lines, "l" * len(heads))


def candidates(method: Method) -> list[Options]:
    """The options to try for a method, the same number for each."""
    name, values = ("weight_decay", SGD_DECAYS) if method.bits is None else ("eps", PSGD_EPSILONS)
    return [
        {"lr": lr, "momentum": momentum, name: value}
        for lr in RATES
        for momentum in MOMENTA
        for value in values
    ]


def search(workers: int | None = None) -> Search:
    """Train every candidate of every method and choose by `RULE`."""
    grouped = [(method, options) for method in METHODS for options in candidates(method)]
    jobs = [Run(method, options, seed, "validation") for method, options in grouped for seed in SEEDS]
    scores = iter(run_all(_score, jobs, workers, "searching"))
    trials: list[Trial] = []
    for method, options in grouped:
        runs = [next(scores) for _ in SEEDS]
        means = {column: float(np.mean([run[column] for run in runs])) for column in COLUMNS}
        trials.append(Trial(method.name, options, means))
    return Search(trials, choose(trials))


def choose(trials: list[Trial]) -> dict[str, Options]:
    """The options of each method by `RULE`; a method that never keeps full precision is left out."""
    floor = max(t.validation["full"] for t in trials if t.method == METHODS[0].name) - FULL_PRECISION_LOSS
    found = {method.name: _best(method, trials, floor) for method in METHODS}
    return {name: options for name, options in found.items() if options is not None}


def _best(method: Method, trials: list[Trial], floor: float) -> Options | None:
    own = [t for t in trials if t.method == method.name and t.validation["full"] >= floor]
    return max(own, key=lambda trial: trial.validation[method.own_column]).options if own else None


def _score(run: Run) -> dict[str, float]:
    try:
        return train(run).accuracy["min-max"]
    except ArithmeticError:
        return dict.fromkeys(COLUMNS, 0.0)
