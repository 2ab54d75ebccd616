"""The comparisons by name: what `psgd-ref compare` runs, lists and stores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psgd_ref.experiments.comparisons.joint.task import JOINT
from psgd_ref.experiments.comparisons.pruning.task import PRUNING
from psgd_ref.experiments.comparisons.quantization.task import QUANTIZATION
from psgd_ref.experiments.comparisons.shared.task import Record, Task
from psgd_ref.experiments.comparisons.training.task import TRAINING
from psgd_ref.experiments.shared import methods
from psgd_ref.experiments.shared.rows import Row
from psgd_ref.interop.whole_file import write_json, write_text

TASKS: dict[str, Task] = {task.name: task for task in (QUANTIZATION, TRAINING, PRUNING, JOINT)}


def task_of(name: str) -> Task:
    """The task of that name.

    Raises
    ------
    ValueError
        When there is none; the message lists the tasks.
    """
    if name not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}; got {name!r}")
    return TASKS[name]


def search(name: str, workers: int | None) -> Record:
    """Choose a task's hyper-parameters anew.

    Raises
    ------
    ValueError
        For a task that has none of its own.
    """
    found = task_of(name).search
    if found is None:
        with_search = ", ".join(task.name for task in TASKS.values() if task.search is not None)
        raise ValueError(f"--search is for the tasks {with_search}; got {name!r}")
    return found(workers)


def listing() -> str:
    """Every method of every task: what it needs, its options, its paper."""
    return methods.listing({name: task.methods for name, task in TASKS.items()})


def catalogue() -> list[dict[str, str]]:
    """The same as plain values."""
    return methods.catalogue({name: task.methods for name, task in TASKS.items()})


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows as plain values."""
    return [row.as_json() for row in rows]


def save(task: Task, rows: Sequence[Row], folder: Path) -> dict[str, Path]:
    """Write the table, the rows and the picture into `folder` and return their paths."""
    from psgd_ref.figures.style import save as save_figure

    folder.mkdir(parents=True, exist_ok=True)
    table, record = folder / "table.md", folder / "rows.json"
    write_text(table, task.table(rows) + "\n")
    write_json(record, as_json(rows))
    picture, _ = save_figure(task.draw(rows), folder / "compare")
    return {"table": table, "rows": record, "picture": picture}
