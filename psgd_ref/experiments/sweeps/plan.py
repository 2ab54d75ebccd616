"""What a sweep runs: a TOML file of options, in which a list stands for one run with each of its values.

    data = "digits"                  # options of `psgd-ref train`
    seed = [0, 1, 2]                 # three runs
    lr = [0.1, 0.3]                  # times two

    [methods.sgd]                    # times every method: more options, lists here too
    optimizer = "sgd"
    [methods.psgd]
    bits = [3, 2]

    [evaluate]                       # how each trained model is measured
    bits = [4, 3, 2]
    grids = ["min-max", "mse"]
    reestimate = [false, true]
    split = "validation"

`milestones` is a list by itself; a list of lists stands for several.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from psgd_ref.compress import GRIDS
from psgd_ref.compress.pruning.prune import SCOPES
from psgd_ref.core.arguments import choice, known, real_number, whole_number
from psgd_ref.experiments.store.identity import identity
from psgd_ref.training.evaluation import SPLITS
from psgd_ref.training.runs.build import phases
from psgd_ref.training.runs.configuration import Configuration, configuration, read_toml

# The module that computes a run.
ENTRY = "psgd_ref.experiments.sweeps.run"


@dataclass(frozen=True)
class Measure:
    """How a trained model is evaluated: every grid with and without fresh batch-norm statistics.

    Parameters
    ----------
    bits, activations, per_channel, split
        As in `psgd_ref.training.evaluate`.
    grids : tuple of str
        Names of `psgd_ref.compress.GRIDS`.
    reestimate : tuple of bool
        Any of false and true.
    sparsities : tuple of float
        Per cent of the weights to prune by magnitude first.
    scope : str
        "global" or "layer".

    Raises
    ------
    ValueError
        For other values.
    """

    bits: tuple[int, ...] = (8, 4, 3, 2)
    activations: tuple[int, ...] = ()
    grids: tuple[str, ...] = ("min-max",)
    reestimate: tuple[bool, ...] = (False,)
    per_channel: bool = False
    sparsities: tuple[float, ...] = ()
    scope: str = "global"
    split: str = "validation"

    def __post_init__(self) -> None:
        for name, low in (("bits", 2), ("activations", 1)):
            widths = tuple(whole_number(f"evaluate.{name}", b, low, 16) for b in self._list(name))
            object.__setattr__(self, name, widths)
        for grid in self._list("grids"):
            choice("evaluate.grids", grid, tuple(GRIDS))
        for name, values in (("reestimate", self._list("reestimate")), ("per_channel", [self.per_channel])):
            if not all(isinstance(value, bool) for value in values):
                raise ValueError(f"evaluate.{name} must be false or true; got {getattr(self, name)!r}")
        for per_cent in self._list("sparsities"):
            if not 0 <= real_number("evaluate.sparsities", per_cent) <= 100:
                raise ValueError(f"evaluate.sparsities must lie in 0..100; got {per_cent!r}")
        choice("evaluate.scope", self.scope, SCOPES)
        choice("evaluate.split", self.split, SPLITS)

    def _list(self, name: str) -> tuple[Any, ...]:
        """The option as a tuple; one value counts as a list of one."""
        value = getattr(self, name)
        values = tuple(value) if isinstance(value, list | tuple) else (value,)
        object.__setattr__(self, name, values)
        return values


@dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Parameters
    ----------
    method : str
        The name of its table in the file, else its optimiser.
    configuration : Configuration
        How it is trained.
    measure : Measure
        How the trained model is evaluated.
    varied : dict
        The options in which the runs of the sweep differ, by name.
    """

    method: str
    configuration: Configuration
    measure: Measure
    varied: dict[str, Any]

    @cached_property
    def contents(self) -> dict[str, Any]:
        """All that the result depends on; of a start file its SHA-256, not its name."""
        options, start = self.configuration.as_dict(), self.configuration.start
        if start:
            options["start"] = hashlib.sha256(Path(start).read_bytes()).hexdigest()
        return {"train": options, "evaluate": dataclasses.asdict(self.measure)}

    @cached_property
    def identity(self) -> str:
        """The hash of the contents and the code version."""
        return identity(self.contents, ENTRY)

    def __str__(self) -> str:
        return " ".join([self.method, *(f"{name}={value}" for name, value in self.varied.items())])


def read_plan(path: Path) -> list[Run]:
    """The runs of a sweep file, seeds innermost.

    Raises
    ------
    ValueError
        For what no run accepts, and for runs that are there twice.
    OSError
        When the file cannot be read.
    """
    values = read_toml(path)
    measured, methods = values.pop("evaluate", {}), values.pop("methods", {"": {}})
    try:
        measure = _measure(_table("evaluate", measured))
        combinations = [
            (name, row)
            for name, own in _table("methods", methods).items()
            for row in _rows({**values, **_table(f"methods.{name}", own)})
        ]
        found = [(name, row, configuration(row)) for name, row in combinations]
        for _, _, chosen in found:
            phases(chosen, 1)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    differ = _differing([row for _, row in combinations])
    runs = [
        Run(name or chosen.optimizer, chosen, measure, {key: row[key] for key in differ if key in row})
        for name, row, chosen in found
    ]
    _refuse_repetitions(path, runs)
    return runs


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a table; got {value!r}")
    return value


def _measure(values: Mapping[str, Any]) -> Measure:
    known("option of [evaluate]", values, (option.name for option in dataclasses.fields(Measure)))
    return Measure(**values)


def _rows(options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of the options that are lists."""
    lists = {name: _values(name, value) for name, value in options.items()}
    # The last axis turns fastest: repetitions of the same thing end together.
    order = sorted(lists, key=lambda name: name == "seed")
    for values in product(*(lists[name] for name in order)):
        row = dict(zip(order, values, strict=True))
        yield {name: row[name] for name in options}


def _values(name: str, value: Any) -> Sequence[Any]:
    several = isinstance(value, list) and (
        name != "milestones" or (bool(value) and all(isinstance(v, list) for v in value))
    )
    if several and not value:
        raise ValueError(f"{name} must have at least one value; got []")
    return value if several else [value]


def _differing(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The options that have several values among the rows, in the order of the file."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if len({repr(row[name]) for row in rows if name in row}) > 1]


def _refuse_repetitions(path: Path, runs: Sequence[Run]) -> None:
    count = Counter(run.identity for run in runs)
    repeated = [run for run in runs if count[run.identity] > 1]
    if repeated:
        raise ValueError(f"{path}: the same run is there more than once: {repeated[0]} and {repeated[1]}")
