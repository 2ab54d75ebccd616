"""The task "pruning": ways to sparse models × sparsities × batch norms, at full precision."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from psgd_ref.experiments.comparisons.pruning.sentences import sentences
from psgd_ref.experiments.comparisons.shared.sparse import methods
from psgd_ref.experiments.comparisons.shared.sparse.rows import Row, matrix, measured
from psgd_ref.experiments.comparisons.shared.sparse.search import search
from psgd_ref.experiments.comparisons.shared.task import Task
from psgd_ref.experiments.shared.methods import Method, check_names, named
from psgd_ref.experiments.shared.precision import FULL

METHODS: tuple[Method, ...] = (*methods.METHODS, *methods.NORM_METHODS)


def run(
    seeds: Sequence[int], names: Sequence[str] = (), bits: Sequence[str] = (), workers: int | None = None
) -> list[Row]:
    """Train every named way and prune to 50 … 98 %; all when none is named.

    Hyper-parameters were chosen on validation images (`sparse.search`); test images are looked at once, in
    the end.

    Raises
    ------
    ValueError
        For an unknown name, and for bits, which are the task "joint".
    """
    check_names(METHODS, names)
    if bits:
        raise ValueError(f"task pruning is at full precision, task joint takes bits; got {' '.join(bits)}")
    norms = [method.name for method in named(METHODS, "batch norm", names)]
    return measured(named(METHODS, "training", names), seeds, [FULL], [], norms, workers)


def table(found: Sequence[Row]) -> str:
    """One Markdown table for each treatment of batch norms, and under them what they say."""
    parts = []
    for norm in dict.fromkeys(row.batch_norm for row in found):
        own = [row for row in found if row.batch_norm == norm]
        parts.append(f"Test accuracy by sparsity, batch norms {norm}:\n\n{matrix(own)}")
    return "\n\n".join([*parts, *sentences(found)])


def draw(found: Sequence[Row]) -> Figure:
    """Accuracy against sparsity."""
    from psgd_ref.figures.comparisons import pruning

    return pruning.draw(found)


PRUNING = Task("pruning", METHODS, run, table, draw, Row.read, search)
