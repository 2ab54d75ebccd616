"""Comparisons: each task is a module with its methods, its runs, its table and its picture."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from matplotlib.figure import Figure

from psgd_ref.experiments.comparisons import methods as registry
from psgd_ref.experiments.comparisons.joint import task as joint
from psgd_ref.experiments.comparisons.methods import Method
from psgd_ref.experiments.comparisons.pruning import (
    search as pruning_search,
)
from psgd_ref.experiments.comparisons.pruning import (
    task as pruning,
)
from psgd_ref.experiments.comparisons.quantization import task as quantization
from psgd_ref.experiments.comparisons.training import (
    search as training_search,
)
from psgd_ref.experiments.comparisons.training import (
    task as training_time,
)
from psgd_ref.experiments.shared.rows import Row
from psgd_ref.interop.whole_file import write_json, write_text


class Task(Protocol):
    """What a module of `TASKS` offers."""

    METHODS: tuple[Method, ...]

    def run(
        self, seeds: Sequence[int], names: Sequence[str], bits: Sequence[str], workers: int | None
    ) -> Sequence[Row]:
        """Measure the named methods (all when none is) at the given precisions (the task's when none is).

        Raises ValueError for an unknown name or precision.
        """
        ...

    def table(self, rows: Sequence[Any]) -> str:
        """The rows as Markdown, and in words what they say."""
        ...

    def draw(self, rows: Sequence[Any]) -> Figure:
        """The rows as a picture."""
        ...


class Record(Protocol):
    """What a search leaves."""

    def as_json(self) -> dict[str, Any]: ...
    def save(self, folder: Path) -> Path: ...


TASKS: dict[str, Task] = {
    "quantization": quantization,
    "training": training_time,
    "pruning": pruning,
    "joint": joint,
}
# Tasks whose hyper-parameters are searched for: from the number of workers to the record.
SEARCHES: dict[str, Callable[[int | None], Record]] = {
    "training": training_search.search,
    "pruning": pruning_search.search,
    "joint": pruning_search.search,
}


def task_of(name: str) -> Task:
    """The task of that name; ValueError that lists the tasks when there is none."""
    if name not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}; got {name!r}")
    return TASKS[name]


def search(name: str, workers: int | None) -> Record:
    """Choose a task's hyper-parameters anew; ValueError for a task that has none of its own."""
    if name not in SEARCHES:
        raise ValueError(f"--search is for the tasks {', '.join(SEARCHES)}; got {name!r}")
    return SEARCHES[name](workers)


def listing() -> str:
    """Every method of every task: what it needs, its options, its paper."""
    return registry.listing({name: task.METHODS for name, task in TASKS.items()})


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as plain numbers."""
    return [asdict(row) for row in rows]


def save(task: Task, rows: Sequence[Row], folder: Path) -> dict[str, Path]:
    """Write the table, the rows and the picture into `folder` and return their paths."""
    from psgd_ref.figures.style import save as save_figure

    folder.mkdir(parents=True, exist_ok=True)
    table, record = folder / "table.md", folder / "rows.json"
    write_text(table, task.table(rows) + "\n")
    write_json(record, as_json(rows))
    picture, _ = save_figure(task.draw(rows), folder / "compare")
    return {"table": table, "rows": record, "picture": picture}
