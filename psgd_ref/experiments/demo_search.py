"""The search for the demonstration's hyper-parameters: one rule, one budget, validation images alone."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.experiments.demo import COLUMNS, METHODS, SEARCH_FILE, Method, Run, train
from psgd_ref.experiments.pool import run_all

# The same candidates for every method, on seeds that the demonstration does not use.
CANDIDATES = [(lr, momentum) for lr in (0.1, 0.3, 1.0, 3.0) for momentum in (0.0, 0.9)]
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
    lr: float
    momentum: float
    validation: dict[str, float]


@dataclass(frozen=True)
class Search:
    """All trials, and the hyper-parameters that the rule chose for each method."""

    trials: list[Trial]
    chosen: dict[str, dict[str, float]]

    def save(self, folder: Path) -> Path:
        """Write the record into `folder` and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SEARCH_FILE
        path.write_text(json.dumps(self.as_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    def as_json(self) -> dict[str, Any]:
        """The record as plain numbers, with the rule in words."""
        return {"rule": RULE, "seeds": list(SEEDS), **asdict(self)}

    def table(self) -> str:
        """Every candidate as a line of Markdown, accuracies in per cent, the chosen ones marked."""
        heads = ["method", "lr", "momentum", *COLUMNS, ""]
        lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
        for trial in self.trials:
            options = {"lr": trial.lr, "momentum": trial.momentum}
            mark = "chosen" if options == self.chosen[trial.method] else ""
            means = [f"{100 * trial.validation[column]:.1f}" for column in COLUMNS]
            cells = [trial.method, f"{trial.lr}", f"{trial.momentum}", *means, mark]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)


def search(workers: int | None = None) -> Search:
    """Train every candidate of every method and choose by `RULE`."""
    grouped = [(method, lr, momentum) for method in METHODS for lr, momentum in CANDIDATES]
    jobs = [Run(*candidate, seed, "validation") for candidate in grouped for seed in SEEDS]
    scores = iter(run_all(_score, jobs, workers, "searching"))
    trials = []
    for method, lr, momentum in grouped:
        runs = [next(scores) for _ in SEEDS]
        means = {column: float(np.mean([run[column] for run in runs])) for column in COLUMNS}
        trials.append(Trial(method.name, lr, momentum, means))
    return Search(trials, choose(trials))


def choose(trials: list[Trial]) -> dict[str, dict[str, float]]:
    """The hyper-parameters of each method by `RULE`.

    Raises ValueError when no candidate of a method keeps full precision.
    """
    floor = max(t.validation["full"] for t in trials if t.method == METHODS[0].name) - FULL_PRECISION_LOSS
    return {method.name: _best(method, trials, floor) for method in METHODS}


def _best(method: Method, trials: list[Trial], floor: float) -> dict[str, float]:
    own = [t for t in trials if t.method == method.name and t.validation["full"] >= floor]
    if not own:
        raise ValueError(f"no candidate of {method.name} reaches {floor:.1%} at full precision")
    best = max(own, key=lambda trial: trial.validation[method.own_column])
    return {"lr": best.lr, "momentum": best.momentum}


def _score(run: Run) -> dict[str, float]:
    try:
        return train(run).accuracy["min-max"]
    except ArithmeticError:
        return dict.fromkeys(COLUMNS, 0.0)
