"""What a comparison offers the command line: its methods, its runs, its table and its picture."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from psgd_ref.experiments.shared.methods import Method
from psgd_ref.experiments.shared.rows import Row


class Record(Protocol):
    """What a search for hyper-parameters leaves."""

    def as_json(self) -> dict[str, Any]:
        """The record as plain values."""
        ...

    def save(self, folder: Path) -> Path:
        """Write the record into a folder and return its path."""
        ...


class Run(Protocol):
    """Measures methods."""

    def __call__(
        self,
        seeds: Sequence[int],
        names: Sequence[str] = (),
        bits: Sequence[str] = (),
        workers: int | None = None,
    ) -> Sequence[Row]:
        """Measure the named methods (all when none is) at the given precisions (the task's when none is).

        Raises
        ------
        ValueError
            For an unknown name or precision.
        """
        ...


@dataclass(frozen=True)
class Task:
    """A comparison of methods.

    Parameters
    ----------
    name : str
        As in `psgd-ref compare --task NAME`.
    methods : tuple of Method
        All that take part, of every kind.
    run : callable
        See `Run`.
    table : callable
        From rows to Markdown, and in words what they say.
    draw : callable
        From rows to a picture.
    read : callable
        From a stored row, a mapping of plain values, to the row.
    search : callable, optional
        From the number of workers to the record of a search for the methods' hyper-parameters.
    """

    name: str
    methods: tuple[Method, ...]
    run: Run
    table: Callable[[Sequence[Any]], str]
    draw: Callable[[Sequence[Any]], Figure]
    read: Callable[[Mapping[str, Any]], Row]
    search: Callable[[int | None], Record] | None = None
