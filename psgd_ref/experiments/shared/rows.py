"""A row of a comparison: what every task reports, whatever else it adds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from psgd_ref.core.arguments import Array

Key = TypeVar("Key")
Value = TypeVar("Value")

# Treatments of batch norms after quantizing or pruning.
NORMS = AS_TRAINED, REESTIMATED = "as trained", "re-estimated"


@dataclass(frozen=True)
class Row:
    """Accuracy (0 … 1) on the test images of one method at one precision, over seeds.

    needs    : what the method asks for (`registry.Need`)
    bits     : "full", or weights and activations as "W3A8"; a task may say more, such as a sparsity
    mean, sd : over seeds (sd with n − 1; None for one seed);   accuracies : one for each seed
    seconds  : mean time of what the row stands for; each task says of what
    """

    method: str
    needs: str
    bits: str
    mean: float
    sd: float | None
    seeds: int
    seconds: float
    accuracies: tuple[float, ...]

    @property
    def cell(self) -> str:
        """Mean ± standard deviation in per cent."""
        return cell(self.accuracies)


def gathered(outcomes: Iterable[Mapping[Key, Value]]) -> dict[Key, list[Value]]:
    """What several runs gave, as a list by key, in the order of the runs."""
    found: dict[Key, list[Value]] = {}
    for outcome in outcomes:
        for key, value in outcome.items():
            found.setdefault(key, []).append(value)
    return found


def statistics(accuracies: Sequence[float], seconds: Sequence[float]) -> dict[str, Any]:
    """The fields of a row that follow from its runs."""
    return {
        "mean": float(np.mean(accuracies)),
        "sd": float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None,
        "seeds": len(accuracies),
        "seconds": float(np.mean(seconds)),
        "accuracies": tuple(accuracies),
    }


def cell(accuracies: Sequence[float]) -> str:
    """Mean ± standard deviation (n − 1) in per cent, without a deviation for one seed."""
    spread = f" ± {100 * np.std(accuracies, ddof=1):.1f}" if len(accuracies) > 1 else ""
    return f"{100 * np.mean(accuracies):.1f}{spread}"


def points(gain: Array) -> str:
    """A difference of accuracies, given in points, as mean ± standard deviation."""
    spread = f" ± {gain.std(ddof=1):.1f}" if len(gain) > 1 else ""
    return f"{gain.mean():+.1f}{spread}"


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]], align: str) -> str:
    """A Markdown table; `align` has "l" or "r" for each column."""
    rule = "|".join("---:" if side == "r" else "---" for side in align)
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(["| " + " | ".join(heads) + " |", f"|{rule}|", *rows])
