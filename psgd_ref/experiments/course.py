"""What the notebooks train, and the stored results that they read.

They train the demonstration's network on the digits by its recipe, in fewer epochs.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.shared.tables import cell, markdown
from psgd_ref.nn import Model
from psgd_ref.training import Optimizer

PACKAGE = Path(__file__).parents[1]
# From the number of steps, which the schedule needs, to the optimiser.
Rule = Callable[[int], Optimizer]


def train(rule: Rule, epochs: int, seed: int = 0, start: Model | None = None) -> Model:
    """A model trained on the digits by the demonstration's recipe.

    Parameters
    ----------
    rule : callable
        `sgd()`, `psgd(bits)` or any function from the number of steps to an optimiser.
    epochs : int
        Of training.
    seed : int
        Of the initial weights and the order of images.
    start : Model, optional
        A model to go on from, which is copied; by default a fresh one.
    """
    model = recipe.network(seed) if start is None else start.copy()
    recipe.fit_digits(model, rule(recipe.steps(epochs)), epochs, seed)
    return model


def sgd(**changes: Any) -> Rule:
    """SGD with the options that the demonstration's search chose, but for `changes`."""
    options = {**recipe.chosen_options()[recipe.BASELINE.name], **changes}
    return partial(recipe.optimizer, None, options)


def psgd(bits: int, **changes: Any) -> Rule:
    """PSGD towards the min-max grid, with the options that the same search chose for 3 bits.

    Parameters
    ----------
    bits : int
        Of the grid, 2 … 16.
    **changes
        Options of `PSGD` but the grid.
    """
    options = {**recipe.chosen_options()[recipe.PSGD_W3.name], **changes}
    return partial(recipe.optimizer, bits, options)


def stored(name: str) -> str:
    """The text of a stored result: a checkout's file in `notebooks`, else the installed package's copy.

    Parameters
    ----------
    name : str
        Path below `notebooks`, as "compare/pruning/rows.json".

    Raises
    ------
    FileNotFoundError
        Where it is not stored.
    """
    folder = PACKAGE / "stored"
    path = (folder if folder.exists() else PACKAGE.parent / "notebooks") / name
    if not path.is_file():
        raise FileNotFoundError(f"no result is stored as {path}; commands write such files with --out")
    return path.read_text(encoding="utf-8")


def pivot(rows: Sequence[Mapping[str, Any]], lines: Sequence[str], column: str) -> str:
    """Stored rows of a comparison as a Markdown table: accuracies in per cent, mean ± standard deviation.

    Parameters
    ----------
    rows : sequence of mappings
        Of `rows.json`, as `psgd-ref compare` writes it: those that shall be shown.
    lines : sequence of str
        The fields that name a line.
    column : str
        The field that names a column.
    """
    columns = list(dict.fromkeys(row[column] for row in rows))
    table: dict[tuple[str, ...], dict[Any, str]] = {}
    for row in rows:
        found = table.setdefault(tuple(str(row[name]) for name in lines), {})
        found[row[column]] = cell(row["accuracies"])
    cells = [[*names, *(found.get(name, "") for name in columns)] for names, found in table.items()]
    heads = [*lines, *(str(name) for name in columns)]
    return markdown(heads, cells, "l" * len(lines) + "r" * len(columns))
