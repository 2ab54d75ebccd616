"""The search for the pruning comparisons' hyper-parameters: one rule, one budget, validation images alone."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from psgd_ref.compress import quantize, reestimate_batch_norm
from psgd_ref.experiments.comparisons.shared.sparse.methods import (
    BASE,
    FINE_TUNED,
    JOINT_METHODS,
    PSGD_ZERO,
    train,
    way_of,
)
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.shared.search_record import Options, save_record
from psgd_ref.experiments.shared.tables import markdown
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.training import accuracy

# The seeds are not those of the comparison.
SEEDS, SEARCHED = (1000, 1001, 1002), (0.8, 0.9, 0.95)
RULE = (
    "Each way takes the candidate with the highest mean validation accuracy over 80, 90 and 95 % sparsity, "
    "batch norms re-estimated, weights at full precision; a way that is trained for a width takes those of "
    "its 3-bit form, rounded to 3 bits. Of equals the first. A run that diverges counts as 0."
)
NARROWEST = JOINT_METHODS[-1].name
# Six candidates for every way: three around what trial runs of one other seed had shown on validation
# images, then three beyond those where the best stood at an end.
CANDIDATES: dict[str, list[Options]] = {
    BASE.name: [{"lr": 0.1, "weight_decay": weight_decay} for weight_decay in (5e-4, 5e-3, 1e-2, 2e-2, 4e-2)]
    + [{"lr": 0.3, "weight_decay": 5e-3}],
    PSGD_ZERO.name: [
        {"lr": 0.1, "weight_decay": weight_decay, "eps": 0.0}
        for weight_decay in (5e-3, 1e-2, 2e-2, 3e-2, 4e-2)
    ]
    + [{"lr": 0.1, "weight_decay": 2e-2, "eps": 0.003}],
    "Powerprop": [
        {"lr": 0.1, "weight_decay": weight_decay, "alpha": alpha}
        for alpha, weight_decay in ((2, 2e-3), (2, 5e-3), (3, 2e-3), (2, 1e-2), (2, 2e-2), (3, 5e-3))
    ],
    "spred": [
        {"lr": 0.1, "weight_decay": weight_decay, "start": start}
        for start, weight_decay in (("balanced", 2e-3), ("balanced", 5e-3), ("one", 5e-3))
    ]
    + [{"lr": 0.1, "weight_decay": weight_decay, "start": "balanced"} for weight_decay in (1e-2, 2e-2)]
    + [{"lr": 0.1, "weight_decay": 2e-2, "start": "one"}],
    "L1": [
        {"lr": 0.1, "weight_decay": 5e-4, "penalty": penalty}
        for penalty in (1e-3, 3e-3, 1e-2, 1.5e-2, 2e-2, 3e-2)
    ],
    "L0": [
        {"lr": 0.1, "weight_decay": 5e-4, "penalty": penalty, "dropped": dropped}
        for penalty, dropped in (
            (1e-3, 0.1),
            (1e-2, 0.1),
            (1e-2, 0.5),
            (3e-2, 0.1),
            (1e-1, 0.1),
            (1e-3, 0.02),
        )
    ],
    "SNIP": [
        {"lr": lr, "weight_decay": weight_decay}
        for lr, weight_decay in ((0.1, 5e-4), (0.1, 2e-3), (0.3, 5e-4), (0.3, 2e-3), (1.0, 5e-4), (1.0, 0.0))
    ],
    FINE_TUNED.name: [
        {"lr": 0.1, "weight_decay": weight_decay, "tuning": tuning}
        for weight_decay, rates in ((5e-4, (0.03, 0.1, 0.3)), (4e-2, (0.03, 0.05, 0.1)))
        for tuning in rates
    ],
    NARROWEST: [
        {"lr": 0.1, "weight_decay": weight_decay, "eps": 0.0, "reach": reach}
        for reach, weight_decay in (
            (0.2, 5e-4),
            (0.2, 5e-3),
            (0.35, 5e-3),
            (0.35, 2e-2),
            (0.5, 5e-3),
            (0.5, 2e-2),
        )
    ],
}


@dataclass(frozen=True)
class Trial:
    """A candidate with its validation accuracies (0 … 1) by sparsity, means over the search seeds."""

    way: str
    options: Options
    validation: dict[str, float]

    @property
    def score(self) -> float:
        """Mean over the sparsities."""
        return float(np.mean(list(self.validation.values())))


@dataclass(frozen=True)
class Search:
    """All trials, and the hyper-parameters that the rule chose for each way."""

    trials: list[Trial]

    @property
    def chosen(self) -> dict[str, Options]:
        """By way; of equal candidates the first. One choice serves all widths of a joint way."""
        found = {}
        for way in dict.fromkeys(trial.way for trial in self.trials):
            own = [trial for trial in self.trials if trial.way == way]
            found[way] = max(own, key=lambda trial: trial.score).options
        if NARROWEST in found:
            found |= {way.name: found[NARROWEST] for way in JOINT_METHODS}
        return found

    def as_json(self) -> dict[str, Any]:
        """The record as plain numbers, with the rule in words."""
        return {
            "rule": RULE,
            "seeds": list(SEEDS),
            "trials": [asdict(trial) for trial in self.trials],
            "chosen": self.chosen,
        }

    def save(self, folder: Path) -> Path:
        """Write the record into `folder` and return its path."""
        return save_record(self.as_json(), folder)

    def table(self) -> str:
        """Every candidate as a line of Markdown, accuracies in per cent, the chosen ones marked."""
        lines = []
        for trial in self.trials:
            options = ", ".join(f"{name} {value}" for name, value in trial.options.items())
            cells = [f"{100 * value:.1f}" for value in trial.validation.values()]
            mark = "chosen" if trial.options == self.chosen[trial.way] else ""
            lines.append([trial.way, options, *cells, mark])
        heads = ["way", "options", *(f"{100 * sparsity:g} %" for sparsity in SEARCHED), ""]
        return markdown(heads, lines, "ll" + "r" * len(SEARCHED) + "l")


def search(workers: int | None = None, seeds: Sequence[int] = SEEDS) -> Search:
    """Train every candidate of every way and choose by `RULE`."""
    grouped = [(way, options) for way, several in CANDIDATES.items() for options in several]
    jobs = [(way, options, seed) for way, options in grouped for seed in seeds]
    scores = iter(run_all(_score, jobs, workers, "searching"))
    trials = []
    for way, options in grouped:
        runs = [next(scores) for _ in seeds]
        means = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
        trials.append(Trial(way, options, means))
    return Search(trials)


def _score(job: tuple[str, Options, int]) -> dict[str, float]:
    name, options, seed = job
    bits, data = way_of(name).target.weights, recipe.data()
    images, found = data.normalise(data.validation.images), {}
    try:
        for sparsity, model in train(name, options, seed, SEARCHED):
            if sparsity in SEARCHED:
                subject = model if bits is None else quantize(model, bits)
                reestimate_batch_norm(subject, recipe.training_images())
                found[str(sparsity)] = accuracy(subject, images, data.validation.labels)
    except ArithmeticError:
        return {str(sparsity): 0.0 for sparsity in SEARCHED}
    return found
