"""A row of a comparison: what every task reports, whatever else it adds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self, TypeVar

import numpy as np

from psgd_ref.experiments.shared.methods import Need
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.tables import cell

Key = TypeVar("Key")
Value = TypeVar("Value")

# Treatments of batch norms after quantizing or pruning.
NORMS = AS_TRAINED, REESTIMATED = "as trained", "re-estimated"


@dataclass(frozen=True)
class Row:
    """Accuracy (0 … 1) on the test images of one method at one precision, over seeds.

    Parameters
    ----------
    method : str
        The method's name; a task may add what else tells rows apart.
    needs : Need
        What the method asks for at this precision.
    precision : Precision
        Of weights and activations.
    mean, sd : float
        Over seeds; sd with n − 1, None for one seed.
    seeds : int
        How many.
    seconds : float
        Mean time of what the row stands for; each task says of what.
    accuracies : tuple of float
        One for each seed.
    """

    method: str
    needs: Need
    precision: Precision
    mean: float
    sd: float | None
    seeds: int
    seconds: float
    accuracies: tuple[float, ...]

    @property
    def cell(self) -> str:
        """Mean ± standard deviation in per cent."""
        return cell(self.accuracies)

    @property
    def title(self) -> str:
        """What the row is called in tables, and in JSON under "method"."""
        return self.method

    def as_json(self) -> dict[str, Any]:
        """The row as plain values: the precision is written under "bits"."""
        names = (field.name for field in fields(self))
        record = {"bits" if name == "precision" else name: _plain(getattr(self, name)) for name in names}
        return record | {"method": self.title}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """The row that `as_json` wrote."""
        values: dict[str, Any] = dict(record)
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        values["precision"], values["needs"] = Precision.read(values.pop("bits")), Need.read(values["needs"])
        return cls(**values)


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


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Need | Precision) else value
