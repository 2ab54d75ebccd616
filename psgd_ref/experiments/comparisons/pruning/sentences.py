"""What the pruning comparison says, in sentences made from its rows: no figure here is written by hand."""

from collections.abc import Mapping, Sequence

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.experiments.comparisons.pruning.methods import BASE
from psgd_ref.experiments.comparisons.pruning.rows import FULL, Row
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED, cell, points

PSGD = "PSGD → 0"
# By way and sparsity: accuracies (0 … 1) over seeds.
Table = Mapping[tuple[str, float], Array]


def sentences(found: Sequence[Row]) -> list[str]:
    """Paragraphs: who is ahead, who is ahead with one model, PSGD against SGD, and what batch norms do.

    The first three are with batch norms re-estimated. Differences are of the same seed, in points of test
    accuracy, mean ± standard deviation.
    """
    full = [row for row in found if row.bits == FULL and row.sparsity > 0]
    mended = accuracies([row for row in full if row.batch_norm == REESTIMATED])
    plain = accuracies([row for row in full if row.batch_norm == AS_TRAINED])
    single = {row.method for row in full if row.retraining == "none"}
    alone = {key: value for key, value in mended.items() if key[0] in single}
    paragraphs = [
        _paragraph("The highest mean, batch norms re-estimated", _leaders(mended)),
        _paragraph("Among ways with one trained model for all sparsities and no retraining", _leaders(alone)),
        _paragraph(f"{PSGD} less {BASE}, in points", differences(mended, mended, PSGD, BASE)),
    ]
    for way in (BASE, PSGD):
        paragraphs.append(
            _paragraph(
                f"What re-estimating batch norms adds to {way}, in points",
                differences(mended, plain, way, way),
            )
        )
    return [text for text in paragraphs if text]


def accuracies(found: Sequence[Row]) -> Table:
    """The rows as a table."""
    return {(row.method, row.sparsity): np.array(row.accuracies) for row in found}


def differences(one: Table, other: Table, way: str, base: str) -> list[str]:
    """For every sparsity, points of `way` in one table less those of `base` in another."""
    parts = []
    for name, sparsity in one:
        if name == way and (base, sparsity) in other:
            parts.append(
                f"{points(100 * (one[way, sparsity] - other[base, sparsity]))} at {100 * sparsity:g} %"
            )
    return parts


def _leaders(table: Table) -> list[str]:
    """For every sparsity the way with the highest mean, and how far PSGD is behind it if it is another."""
    parts = []
    for sparsity in sorted({sparsity for _, sparsity in table}):
        own = {way: value for (way, share), value in table.items() if share == sparsity}
        if len(own) < 2:
            return []
        best = max(own, key=lambda way: float(own[way].mean()))
        behind = f", {PSGD} {points(100 * (own[PSGD] - own[best]))}" if PSGD in own and best != PSGD else ""
        parts.append(f"{best} at {100 * sparsity:g} % ({cell(own[best].tolist())}{behind})")
    return parts


def _paragraph(title: str, parts: Sequence[str]) -> str:
    return f"{title}: {'; '.join(parts)}." if parts else ""
