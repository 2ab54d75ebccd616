"""What the pruning comparison says, in sentences made from its rows: no figure here is written by hand."""

from collections.abc import Sequence

from psgd_ref.experiments.comparisons.shared.sparse.differences import Table, accuracies, differences
from psgd_ref.experiments.comparisons.shared.sparse.methods import BASE, NO_RETRAINING, PSGD_ZERO
from psgd_ref.experiments.comparisons.shared.sparse.rows import Row
from psgd_ref.experiments.shared.precision import FULL
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.tables import cell, points

SGD, PSGD = BASE.name, PSGD_ZERO.name


def sentences(found: Sequence[Row]) -> list[str]:
    """Paragraphs: who is ahead, who is ahead with one model, PSGD against SGD, and what batch norms do.

    The first three are with batch norms re-estimated. Differences are of the same seed, in points of test
    accuracy, mean ± standard deviation.
    """
    full = [row for row in found if row.precision == FULL and row.sparsity > 0]
    fresh = accuracies([row for row in full if row.batch_norm == REESTIMATED])
    plain = accuracies([row for row in full if row.batch_norm == AS_TRAINED])
    single = {row.method for row in full if row.retraining == NO_RETRAINING}
    alone = {key: value for key, value in fresh.items() if key[0] in single}
    paragraphs = [
        _paragraph("The highest mean, batch norms re-estimated", _leaders(fresh)),
        _paragraph("Among ways with one trained model for all sparsities and no retraining", _leaders(alone)),
        _paragraph(f"{PSGD} less {SGD}, in points", differences(fresh, fresh, PSGD, SGD)),
    ]
    for way in (SGD, PSGD):
        paragraphs.append(
            _paragraph(
                f"What re-estimating batch norms adds to {way}, in points",
                differences(fresh, plain, way, way),
            )
        )
    return [text for text in paragraphs if text]


def _leaders(table: Table) -> list[str]:
    """For every sparsity the way with the highest mean, and how far PSGD is behind it if it is another."""
    parts = []
    for sparsity in sorted({sparsity for _, sparsity in table}):
        own = {way: value for (way, pruned), value in table.items() if pruned == sparsity}
        if len(own) < 2:
            return []
        best = max(own, key=lambda way: float(own[way].mean()))
        behind = f", {PSGD} {points(100 * (own[PSGD] - own[best]))}" if PSGD in own and best != PSGD else ""
        parts.append(f"{best} at {100 * sparsity:g} % ({cell(own[best].tolist())}{behind})")
    return parts


def _paragraph(title: str, parts: Sequence[str]) -> str:
    return f"{title}: {'; '.join(parts)}." if parts else ""
