"""The task "joint": pruning and quantization together, sparsities × bits × grids × batch norms."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from psgd_ref.experiments.comparisons.joint import bayesian_bits
from psgd_ref.experiments.comparisons.joint.bayesian_bits import LearnedRow
from psgd_ref.experiments.comparisons.joint.sentences import sentences
from psgd_ref.experiments.comparisons.shared.sparse import methods
from psgd_ref.experiments.comparisons.shared.sparse.rows import Row, matrix, measured
from psgd_ref.experiments.comparisons.shared.sparse.search import search
from psgd_ref.experiments.comparisons.shared.task import Task
from psgd_ref.experiments.shared.methods import Method, Need, check_names, named
from psgd_ref.experiments.shared.precision import FULL, Precision, parse_precision

PRECISIONS = (Precision(8), Precision(4), Precision(3))
GRIDS: tuple[Method, ...] = (
    Method("min-max", "grid", Need.NOTHING, "Δ = max|w|/K, after pruning", "the official code"),
    Method("mse", "grid", Need.NOTHING, "least squared error, after pruning", "standard"),
)
METHODS: tuple[Method, ...] = (
    *methods.METHODS,
    *methods.JOINT_METHODS,
    bayesian_bits.METHOD,
    *GRIDS,
    *methods.NORM_METHODS,
)


def run(
    seeds: Sequence[int], names: Sequence[str] = (), bits: Sequence[str] = (), workers: int | None = None
) -> list[Row]:
    """Train every named way, prune to 50 … 98 %, then round to bits; all when none is named.

    Bayesian Bits chooses sparsity and bits itself, for three costs of a bit. Hyper-parameters were chosen
    on validation images (`sparse.search`); test images are looked at once, in the end.

    Parameters
    ----------
    seeds : sequence of int
        One run each.
    names : sequence of str
        Of any kind; a kind of which none is named takes part in full.
    bits : sequence of str
        Of weights, as "W3"; by default W8, W4 and W3, and full precision beside them.
    workers : int, optional
        Processes, by default one for each core.

    Raises
    ------
    ValueError
        For an unknown name or precision, and for bits of activations.
    """
    check_names(METHODS, names)
    precisions = tuple(parse_precision(text) for text in bits) or PRECISIONS
    if any(precision.activations is not None for precision in precisions):
        raise ValueError(f"task joint takes bits of weights, as W3; got {' '.join(bits)}")
    grids, norms = (
        [method.name for method in named(METHODS, kind, names)] for kind in ("grid", "batch norm")
    )
    trained = named(METHODS, "training", names)
    ways = [method for method in trained if method != bayesian_bits.METHOD]
    found = measured(ways, seeds, (FULL, *precisions), grids, norms, workers) if ways else []
    learned = bayesian_bits.measured(seeds, norms, workers) if bayesian_bits.METHOD in trained else []
    return [*found, *learned]


def table(found: Sequence[Row]) -> str:
    """One Markdown table for each precision, grid and treatment of batch norms, and what they say."""
    learned = [row for row in found if isinstance(row, LearnedRow)]
    fixed = [row for row in found if not isinstance(row, LearnedRow)]
    parts = []
    for precision, grid, norm in dict.fromkeys((row.precision, row.grid, row.batch_norm) for row in fixed):
        own = [row for row in fixed if (row.precision, row.grid, row.batch_norm) == (precision, grid, norm)]
        what = "full precision" if precision == FULL else f"{precision}, {grid} grid"
        parts.append(f"Test accuracy by sparsity, {what}, batch norms {norm}:\n\n{matrix(own)}")
    if learned:
        parts.append(
            "Test accuracy at sparsity and bits that are learned; here whole output channels are pruned, "
            f"above single weights:\n\n{bayesian_bits.table(learned)}"
        )
    return "\n\n".join([*parts, *sentences(fixed), *bayesian_bits.sentences(learned, fixed)])


def draw(found: Sequence[Row]) -> Figure:
    """Accuracy by sparsity × bits, a panel for each way."""
    from psgd_ref.figures.comparisons import joint

    return joint.draw(found)


def read(record: Mapping[str, Any]) -> Row:
    """The stored row."""
    return LearnedRow.read(record) if "widths" in record else Row.read(record)


JOINT = Task("joint", METHODS, run, table, draw, read, search)
