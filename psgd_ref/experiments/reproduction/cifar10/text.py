"""The CIFAR-10 table in Markdown, and what it says in sentences that follow from its numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from psgd_ref.experiments.reproduction.cifar10.recipe import ABLATION, BITS, BRANCHES, DOUBLE, SGD, Branch
from psgd_ref.experiments.reproduction.cifar10.table import Result, Row
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.tables import markdown

PRECISIONS = (FULL, *(Precision(bits) for bits in BITS))
# Grid and batch norms.
PLAIN, CALIBRATED = ("min-max", AS_TRAINED), ("mse", REESTIMATED)
COPY = "If its pixels went through JPEG once, the numbers are a little below those of the original archive."


def text(result: Result, published: bool) -> str:
    """Conditions, table, sentences and problems.

    Parameters
    ----------
    result : Result
        What there is of the table.
    published : bool
        Whether the data are the published archive (`psgd_ref.data.check`).
    """
    r = result.recipe
    hours = sum(source.seconds for source in result.sources) / 3600
    data = "the published archive" if published else "a copy in the archive's format. " + COPY
    conditions = (
        f"{r.model} on CIFAR-10, {len(r.seeds)} seeds ({', '.join(map(str, r.seeds))}): {r.trunk_epochs} "
        f"epochs of SGD, then {r.branch_epochs} of each method from the same weights. Test accuracy in per "
        f"cent, mean ± standard deviation; first and last layer at 8 bits below W4; d/Δ: mean distance from "
        f"the method's own grid, 0.25 for weights spread evenly. {hours:.1f} core hours. Data: {data}"
    )
    parts = [conditions, table(result.rows), *sentences(result.rows), *result.problems]
    return "\n\n".join(part for part in parts if part)


def table(rows: Sequence[Row]) -> str:
    """A line for each branch, grid and treatment of the batch norms."""
    lines: dict[tuple[str, str, str], dict[Precision, Row]] = {}
    for row in rows:
        lines.setdefault((row.branch, row.grid, row.batch_norm), {})[row.precision] = row
    if not lines:
        return ""
    heads = ["trained by", "grid", "batch norms", "full precision"]
    heads += [*(precision.label for precision in PRECISIONS[1:]), "d/Δ"]
    texts = [
        [
            *key,
            *(cells[p].cell if p in cells else "" for p in PRECISIONS),
            f"{next(iter(cells.values())).distance:.2f}",
        ]
        for key, cells in lines.items()
    ]
    return markdown(heads, texts, "lll" + "r" * (len(PRECISIONS) + 1))


def sentences(rows: Sequence[Row]) -> list[str]:
    """The questions that the table is there to answer, each with its numbers."""
    found = [_loss(rows, bits) for bits in BITS] + [_calibrated(rows, bits) for bits in BITS]
    found += [_strength(rows), *(_changed(rows, branch) for branch in ABLATION if branch.bits)]
    return [sentence for sentence in found if sentence]


def _accuracies(
    rows: Sequence[Row], branch: str, how: tuple[str, str], bits: int | None
) -> tuple[float, ...]:
    where = (branch, *how, Precision(bits))
    found = [r.accuracies for r in rows if (r.branch, r.grid, r.batch_norm, r.precision) == where]
    return found[0] if found else ()


def _loss(rows: Sequence[Row], bits: int) -> str:
    """What rounding costs on the paper's grid, nothing calibrated."""
    own = _own(bits)
    losses = []
    for branch in (SGD.name, own):
        full, rounded = (_accuracies(rows, branch, PLAIN, width) for width in (None, bits))
        losses.append(np.array(full)[: len(rounded)] - rounded)
    sgd, psgd = losses
    if not sgd.size or sgd.size != psgd.size:
        return ""
    less = int((psgd < sgd).sum())
    some = f"appears in {less} of {sgd.size} seeds"
    effect = {0: "does not appear", sgd.size: "appears"}.get(less, some)
    return (
        f"{Precision(bits).label}, min-max grid, nothing calibrated: SGD loses {_mean(sgd)} points, {own} "
        f"{_mean(psgd)}. The paper's effect {effect} here."
    )


def _calibrated(rows: Sequence[Row], bits: int) -> str:
    """What PSGD adds on top of the training-free row."""
    own = _own(bits)
    sgd, psgd = (_accuracies(rows, branch, CALIBRATED, bits) for branch in (SGD.name, own))
    if not sgd or len(sgd) != len(psgd):
        return ""
    learned = _accuracies(rows, f"LSQ W{bits}", ("learned", REESTIMATED), bits)
    lsq = f" LSQ, fine-tuned for as many epochs: {_mean(learned)}." if learned else ""
    double = _accuracies(rows, DOUBLE.name, CALIBRATED, bits)
    faster = f" SGD at twice the rate, PSGD's mean scale: {_mean(double)}." if double else ""
    return (
        f"{Precision(bits).label}, MSE clipping and re-estimated batch norms, which train nothing: "
        f"SGD {_mean(sgd)}, {own} {_mean(psgd)}; PSGD adds {_difference(psgd, sgd)}.{lsq}{faster}"
    )


def _strength(rows: Sequence[Row]) -> str:
    tuned = next(b.name for b in BRANCHES if "strength" in b.options)
    fixed, free = (_accuracies(rows, name, PLAIN, 4) for name in (tuned, _own(4)))
    if not fixed or len(fixed) != len(free):
        return ""
    return (
        f"W4: λ* = 8/Δ by layer gives {_mean(free)}, the authors' λ = 150, which they tuned for ResNet-32 on "
        f"CIFAR-100, {_mean(fixed)}; λ* adds {_difference(free, fixed)}."
    )


def _changed(rows: Sequence[Row], branch: Branch) -> str:
    """What a change to PSGD is worth where both are calibrated."""
    own = _own(branch.bits)
    before, after = (_accuracies(rows, name, CALIBRATED, branch.bits) for name in (own, branch.name))
    if not after or len(after) != len(before):
        return ""
    change = branch.name.removeprefix(f"{own}, ")
    label = Precision(branch.bits).label
    return f"{label}, calibrated, {change}: {_mean(after)}, {_difference(after, before)} against {own}."


def _own(bits: int | None) -> str:
    return next(branch.name for branch in BRANCHES if branch.bits == bits and not branch.learned)


def _mean(values: Sequence[float] | npt.NDArray[np.float64]) -> str:
    return f"{100 * np.mean(values):.1f}"


def _difference(one: Sequence[float], other: Sequence[float]) -> str:
    """Seed by seed, since seeds share their trunk."""
    gaps = 100 * (np.array(one) - np.array(other))
    every = "in every seed" if (gaps > 0).all() or (gaps < 0).all() else "of changing sign"
    return f"{gaps.mean():+.1f} points ({', '.join(f'{gap:+.1f}' for gap in gaps)} by seed, {every})"
