"""The task "joint": pruning and quantization together, sparsities × bits × grids × batch norms."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from psgd_ref.experiments.comparisons import methods as registry
from psgd_ref.experiments.comparisons.joint import (
    bayesian_bits as learned_bits,
)
from psgd_ref.experiments.comparisons.joint import (
    sentences as joint_words,
)
from psgd_ref.experiments.comparisons.joint.bayesian_bits import LearnedRow
from psgd_ref.experiments.comparisons.methods import Method, Need
from psgd_ref.experiments.comparisons.pruning import rows as sparse_rows
from psgd_ref.experiments.comparisons.pruning.methods import JOINT_WAYS, WAYS
from psgd_ref.experiments.comparisons.pruning.rows import FULL, Row
from psgd_ref.experiments.comparisons.pruning.task import NORMS
from psgd_ref.experiments.shared.precision import parse_precision

BITS = ("W8", "W4", "W3")
GRIDS: tuple[Method, ...] = (
    Method("min-max", "grid", Need.NOTHING, Need.NOTHING, "Δ = max|w|/K, after pruning", "the official code"),
    Method("mse", "grid", Need.NOTHING, Need.NOTHING, "least squared error, after pruning", "standard"),
)
METHODS: tuple[Method, ...] = (
    *(way.method for way in (*WAYS, *JOINT_WAYS)),
    learned_bits.METHOD,
    *GRIDS,
    *NORMS,
)


def run(
    seeds: Sequence[int], names: Sequence[str] = (), bits: Sequence[str] = (), workers: int | None = None
) -> list[Row]:
    """Train every named way, prune to 50 … 98 %, then round to bits; all when none is named.

    bits : of weights, as "W3"; by default W8, W4 and W3, and full precision beside them. Bayesian Bits
    chooses sparsity and bits itself, for three prices of a bit.
    Hyper-parameters were chosen on validation images (`pruning_search`); test images are looked at once, in
    the end. Raises ValueError for an unknown name or precision, and for bits of activations.
    """
    registry.check_names(METHODS, names)
    precisions = [parse_precision(text) for text in bits or BITS]
    if any(precision.activations is not None for precision in precisions):
        raise ValueError(f"task joint takes bits of weights, as W3; got {' '.join(bits)}")
    named = {method.name for method in registry.named(METHODS, "training", names)}
    grids, norms = (
        [method.name for method in registry.named(METHODS, kind, names)] for kind in ("grid", "batch norm")
    )
    ways = [way for way in (*WAYS, *JOINT_WAYS) if way.name in named]
    widths = [None, *(precision.weights for precision in precisions)]
    found = sparse_rows.measured(ways, seeds, widths, grids, norms, workers) if ways else []
    return [*found, *(learned_bits.measured(seeds, norms, workers) if learned_bits.NAME in named else [])]


def table(found: Sequence[Row]) -> str:
    """One Markdown table for each precision, grid and treatment of batch norms, and what they say."""
    learned = [row for row in found if isinstance(row, LearnedRow)]
    fixed = [row for row in found if not isinstance(row, LearnedRow)]
    parts = []
    for bits, grid, norm in dict.fromkeys((row.bits, row.grid, row.batch_norm) for row in fixed):
        own = [row for row in fixed if (row.bits, row.grid, row.batch_norm) == (bits, grid, norm)]
        what = "full precision" if bits == FULL else f"{bits}, {grid} grid"
        parts.append(f"Test accuracy by sparsity, {what}, batch norms {norm}:\n\n{sparse_rows.matrix(own)}")
    if learned:
        parts.append(
            "Test accuracy at sparsity and bits that are learned; here whole output channels are pruned, "
            f"above single weights:\n\n{learned_bits.table(learned)}"
        )
    return "\n\n".join([*parts, *joint_words.sentences(fixed), *learned_bits.sentences(learned, fixed)])


def draw(found: Sequence[Row]) -> Figure:
    """Accuracy by sparsity × bits, a panel for each way."""
    from psgd_ref.figures.comparisons import joint

    return joint.draw(found)
