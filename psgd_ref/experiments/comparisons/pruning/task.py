"""The task "pruning": ways to sparse models × sparsities × batch norms, at full precision."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from psgd_ref.experiments.comparisons import methods as registry
from psgd_ref.experiments.comparisons.methods import Method, Need
from psgd_ref.experiments.comparisons.pruning import (
    rows as sparse_rows,
)
from psgd_ref.experiments.comparisons.pruning import (
    sentences as pruning_words,
)
from psgd_ref.experiments.comparisons.pruning.methods import WAYS
from psgd_ref.experiments.comparisons.pruning.rows import Row
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED

NORMS: tuple[Method, ...] = (
    Method(AS_TRAINED, "batch norm", Need.NOTHING, Need.NOTHING, "statistics of training", "-"),
    Method(
        REESTIMATED,
        "batch norm",
        Need.IMAGES,
        Need.IMAGES,
        "statistics of the compressed network on the training images",
        "as in Nagel et al. 2022, for trained networks",
    ),
)
METHODS: tuple[Method, ...] = (*(way.method for way in WAYS), *NORMS)


def run(
    seeds: Sequence[int], names: Sequence[str] = (), bits: Sequence[str] = (), workers: int | None = None
) -> list[Row]:
    """Train every named way and prune to 50 … 98 %; all when none is named.

    Hyper-parameters were chosen on validation images (`pruning_search`); test images are looked at once, in
    the end. Raises ValueError for an unknown name, and for bits, which are the task "joint".
    """
    registry.check_names(METHODS, names)
    if bits:
        raise ValueError(f"task pruning is at full precision, task joint takes bits; got {' '.join(bits)}")
    named = {method.name for method in registry.named(METHODS, "training", names)}
    norms = [method.name for method in registry.named(METHODS, "batch norm", names)]
    return sparse_rows.measured([way for way in WAYS if way.name in named], seeds, [None], [], norms, workers)


def table(found: Sequence[Row]) -> str:
    """One Markdown table for each treatment of batch norms, and under them what they say."""
    parts = []
    for norm in dict.fromkeys(row.batch_norm for row in found):
        own = [row for row in found if row.batch_norm == norm]
        parts.append(f"Test accuracy by sparsity, batch norms {norm}:\n\n{sparse_rows.matrix(own)}")
    return "\n\n".join([*parts, *pruning_words.sentences(found)])


def draw(found: Sequence[Row]) -> Figure:
    """Accuracy against sparsity."""
    from psgd_ref.figures.comparisons import pruning

    return pruning.draw(found)
