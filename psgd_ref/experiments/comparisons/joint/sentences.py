"""What the joint comparison says, in sentences made from its rows: no figure here is written by hand."""

from collections.abc import Sequence

from psgd_ref.experiments.comparisons.shared.sparse.differences import accuracies, differences
from psgd_ref.experiments.comparisons.shared.sparse.methods import BASE, JOINT_METHODS, PSGD_ZERO
from psgd_ref.experiments.comparisons.shared.sparse.rows import Row
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.rows import REESTIMATED
from psgd_ref.experiments.shared.tables import cell

SGD, PSGD = BASE.name, PSGD_ZERO.name
GRID = "min-max"


def sentences(found: Sequence[Row]) -> list[str]:
    """For each width: the best at each sparsity, and training for both purposes against pruning alone.

    All on the min-max grid with batch norms re-estimated. Differences are of the same seed, in points of
    test accuracy, mean ± standard deviation.
    """
    fresh = [row for row in found if row.batch_norm == REESTIMATED and row.sparsity > 0]
    texts = []
    for precision in dict.fromkeys(row.precision for row in fresh if row.precision != FULL):
        own = [row for row in fresh if row.precision == precision and row.grid == GRID]
        if own:
            texts.append(" ".join([_leaders(precision, own), *_comparisons(own)]))
    return texts


def _leaders(precision: Precision, own: Sequence[Row]) -> str:
    parts = []
    for sparsity in sorted({row.sparsity for row in own}):
        best = max((row for row in own if row.sparsity == sparsity), key=lambda row: row.mean)
        parts.append(f"{best.method} at {100 * sparsity:g} % ({cell(best.accuracies)})")
    return f"{precision}, {GRID} grid, batch norms re-estimated, the highest mean: {'; '.join(parts)}."


def _comparisons(own: Sequence[Row]) -> list[str]:
    table, texts = accuracies(own), []
    both = [way.name for way in JOINT_METHODS if (way.name, own[0].sparsity) in table]
    for way, base in [(PSGD, SGD), *((name, other) for name in both for other in (PSGD, SGD))]:
        parts = differences(table, table, way, base)
        if parts:
            texts.append(f"{way} less {base}, in points: {'; '.join(parts)}.")
    return texts
