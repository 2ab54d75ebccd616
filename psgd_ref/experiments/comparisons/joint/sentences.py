"""What the joint comparison says, in sentences made from its rows: no figure here is written by hand."""

from collections.abc import Sequence

from psgd_ref.experiments.comparisons.pruning.methods import BASE, JOINT_WAYS
from psgd_ref.experiments.comparisons.pruning.rows import FULL, Row
from psgd_ref.experiments.comparisons.pruning.sentences import PSGD, accuracies, differences
from psgd_ref.experiments.shared.rows import REESTIMATED, cell

GRID = "min-max"


def sentences(found: Sequence[Row]) -> list[str]:
    """For each width: the best at each sparsity, and training for both purposes against pruning alone.

    All on the min-max grid with batch norms re-estimated. Differences are of the same seed, in points of
    test accuracy, mean ± standard deviation.
    """
    mended = [row for row in found if row.batch_norm == REESTIMATED and row.sparsity > 0]
    texts = []
    for bits in dict.fromkeys(row.bits for row in mended if row.bits != FULL):
        own = [row for row in mended if row.bits == bits and row.grid == GRID]
        if own:
            texts.append(" ".join([_leaders(bits, own), *_comparisons(own)]))
    return texts


def _leaders(bits: str, own: Sequence[Row]) -> str:
    parts = []
    for sparsity in sorted({row.sparsity for row in own}):
        best = max((row for row in own if row.sparsity == sparsity), key=lambda row: row.mean)
        parts.append(f"{best.method} at {100 * sparsity:g} % ({cell(best.accuracies)})")
    return f"{bits}, {GRID} grid, batch norms re-estimated, the highest mean: {'; '.join(parts)}."


def _comparisons(own: Sequence[Row]) -> list[str]:
    table, texts = accuracies(own), []
    both = [way.name for way in JOINT_WAYS if (way.name, own[0].sparsity) in table]
    for way, base in [(PSGD, BASE), *((name, other) for name in both for other in (PSGD, BASE))]:
        parts = differences(table, table, way, base)
        if parts:
            texts.append(f"{way} less {base}, in points: {'; '.join(parts)}.")
    return texts
