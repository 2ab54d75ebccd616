"""A sweep's results as text: mean ± standard deviation over seeds, and how far it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.tables import cell, markdown
from psgd_ref.experiments.sweeps.driver import Status
from psgd_ref.experiments.sweeps.plan import Run


def table(status: Status) -> str:
    """Markdown: a line for each method, combination of options, grid and treatment of batch norms.

    Accuracies in per cent over the seeds that are done; a standard deviation (n − 1) from two on.
    """
    names = _names(status.runs)
    lines: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for run, row in _accuracies(status):
        options = (str(run.varied.get(name, "")) for name in names)
        norms = REESTIMATED if row["reestimated"] else AS_TRAINED
        cells = lines.setdefault((run.method, *options, row["grid"], norms), {})
        cells.setdefault(row["precision"], []).append(row["accuracy"])
    if not lines:
        return "no run is done"
    columns = list(dict.fromkeys(precision for cells in lines.values() for precision in cells))
    heads = ["method", *names, "grid", "batch norms", *columns, "seeds"]
    texts = []
    for key, cells in lines.items():
        count = max(map(len, cells.values()))
        texts.append([*key, *(cell(cells[c]) if c in cells else "" for c in columns), str(count)])
    return markdown(heads, texts, "l" * (len(names) + 3) + "r" * (len(columns) + 1))


def summary(status: Status) -> str:
    """How many runs are done, failed and left, and the errors."""
    seconds = [entry.seconds for entry in status.entries.values() if entry.seconds is not None]
    counts = {"done": status.done, "failed": status.failed, "left": status.left}
    parts = [f"{len(status.runs)} runs: {', '.join(f'{len(runs)} {name}' for name, runs in counts.items())}"]
    if status.begun:
        parts[0] += f", {len(status.begun)} of these begun"
    if seconds:
        parts[0] += f"; {np.mean(seconds):.3g} s a run"
    for run in status.left:
        if run.identity in status.begun:
            parts.append(f"begun: {run}: {status.begun[run.identity]} of {run.configuration.epochs} epochs")
    parts += [f"failed: {run}: {status.entries[run.identity].error}" for run in status.failed]
    return "\n".join(parts)


def _names(runs: Sequence[Run]) -> list[str]:
    """Options in which runs differ; seeds are what is averaged over."""
    return [name for name in dict.fromkeys(n for run in runs for n in run.varied) if name != "seed"]


def _accuracies(status: Status) -> list[tuple[Run, dict[str, Any]]]:
    results = [(run, status.entries[run.identity].result or {}) for run in status.done]
    return [(run, row) for run, result in results for row in result["accuracies"]]
