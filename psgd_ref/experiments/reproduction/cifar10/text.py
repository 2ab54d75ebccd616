"""The CIFAR-10 table in Markdown, and what it says in sentences that follow from its numbers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from psgd_ref.experiments.reproduction.cifar10.recipe import ABLATION, BITS, BRANCHES, DOUBLE, SGD, Branch
from psgd_ref.experiments.reproduction.cifar10.table import Result, Row
from psgd_ref.experiments.shared.rows import markdown

FULL = "full"
COLUMNS = (FULL, *(f"W{bits}" for bits in BITS))
PLAIN, REESTIMATED = ("min-max", "as trained"), ("mse", "re-estimated")
COPY = "If its pixels went through JPEG once, the numbers are a little below those of the original archive."


def text(result: Result, published: bool) -> str:
    """Conditions, table, sentences and problems.

    published : whether the data are the published archive (`psgd_ref.data.check`)
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
    lines: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        lines.setdefault((row.branch, row.grid, row.batch_norm), {})[row.bits] = row
    if not lines:
        return ""
    heads = ["trained by", "grid", "batch norms", "full precision", *COLUMNS[1:], "d/Δ"]
    texts = [
        [
            *key,
            *(cells[c].cell if c in cells else "" for c in COLUMNS),
            f"{next(iter(cells.values())).distance:.2f}",
        ]
        for key, cells in lines.items()
    ]
    return markdown(heads, texts, "lll" + "r" * (len(COLUMNS) + 1))


def sentences(rows: Sequence[Row]) -> list[str]:
    """The questions that the table is there to answer, each with its numbers."""
    found = [_loss(rows, bits) for bits in BITS] + [_mended(rows, bits) for bits in BITS]
    found += [_strength(rows), *(_changed(rows, branch) for branch in ABLATION if branch.bits)]
    return [sentence for sentence in found if sentence]


def _accuracies(rows: Sequence[Row], branch: str, how: tuple[str, str], bits: str) -> tuple[float, ...]:
    where = (branch, *how, bits)
    found = [r.accuracies for r in rows if (r.branch, r.grid, r.batch_norm, r.bits) == where]
    return found[0] if found else ()


def _loss(rows: Sequence[Row], bits: int) -> str:
    """What rounding costs on the paper's grid, nothing mended."""
    name, own = f"W{bits}", _own(bits)
    losses = []
    for branch in (SGD.name, own):
        full, rounded = (_accuracies(rows, branch, PLAIN, b) for b in (FULL, name))
        losses.append(np.array(full)[: len(rounded)] - rounded)
    sgd, psgd = losses
    if not sgd.size or sgd.size != psgd.size:
        return ""
    less = int((psgd < sgd).sum())
    some = f"appears in {less} of {sgd.size} seeds"
    effect = {0: "does not appear", sgd.size: "appears"}.get(less, some)
    return (
        f"{name}, min-max grid, nothing mended: SGD loses {_mean(sgd)} points, {own} {_mean(psgd)}. "
        f"The paper's effect {effect} here."
    )


def _mended(rows: Sequence[Row], bits: int) -> str:
    """What PSGD adds on top of the training-free row."""
    name, own = f"W{bits}", _own(bits)
    sgd, psgd = (_accuracies(rows, branch, REESTIMATED, name) for branch in (SGD.name, own))
    if not sgd or len(sgd) != len(psgd):
        return ""
    learned = _accuracies(rows, f"LSQ W{bits}", ("learned", "re-estimated"), name)
    lsq = f" LSQ, fine-tuned for as many epochs: {_mean(learned)}." if learned else ""
    double = _accuracies(rows, DOUBLE.name, REESTIMATED, name)
    faster = f" SGD at twice the rate, PSGD's mean scale: {_mean(double)}." if double else ""
    return (
        f"{name}, MSE clipping and re-estimated batch norms, which train nothing: SGD {_mean(sgd)}, {own} "
        f"{_mean(psgd)}; PSGD adds {_difference(psgd, sgd)}.{lsq}{faster}"
    )


def _strength(rows: Sequence[Row]) -> str:
    tuned = next(b.name for b in BRANCHES if "strength" in b.options)
    fixed, free = (_accuracies(rows, name, PLAIN, "W4") for name in (tuned, _own(4)))
    if not fixed or len(fixed) != len(free):
        return ""
    return (
        f"W4: λ* = 8/Δ by layer gives {_mean(free)}, the authors' λ = 150, which they tuned for ResNet-32 on "
        f"CIFAR-100, {_mean(fixed)}; λ* adds {_difference(free, fixed)}."
    )


def _changed(rows: Sequence[Row], branch: Branch) -> str:
    """What a change to PSGD is worth where both are mended."""
    own, width = _own(branch.bits), f"W{branch.bits}"
    before, after = (_accuracies(rows, name, REESTIMATED, width) for name in (own, branch.name))
    if not after or len(after) != len(before):
        return ""
    change = branch.name.removeprefix(f"{own}, ")
    return f"{width}, mended, {change}: {_mean(after)}, {_difference(after, before)} against {own}."


def _own(bits: int | None) -> str:
    return next(branch.name for branch in BRANCHES if branch.bits == bits and not branch.learned)


def _mean(values: Sequence[float] | npt.NDArray[np.float64]) -> str:
    return f"{100 * np.mean(values):.1f}"


def _difference(one: Sequence[float], other: Sequence[float]) -> str:
    """Seed by seed, since seeds share their trunk."""
    gaps = 100 * (np.array(one) - np.array(other))
    every = "in every seed" if (gaps > 0).all() or (gaps < 0).all() else "of changing sign"
    return f"{gaps.mean():+.1f} points ({', '.join(f'{gap:+.1f}' for gap in gaps)} by seed, {every})"
