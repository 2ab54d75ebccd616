"""A table in Markdown, and what it says in sentences that follow from its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.experiments.reproduction.branches import recipe, sizes
from psgd_ref.experiments.reproduction.branches.paired import Difference, difference
from psgd_ref.experiments.reproduction.branches.recipe import FAMILY, Method, Options
from psgd_ref.experiments.reproduction.branches.runs import Branch, Outcome
from psgd_ref.experiments.reproduction.branches.study import Result, family_options
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED
from psgd_ref.experiments.shared.tables import cell, markdown

WIDTHS = (FULL, Precision(4), Precision(3), Precision(2))


@dataclass(frozen=True)
class Line:
    """A method with its options at the width that it was trained for, over seeds."""

    method: Method
    bits: int
    options: Options
    outcomes: list[Outcome]

    def at(self, precision: Precision, norm: str = REESTIMATED) -> list[float]:
        """Accuracies by seed; empty where it was not measured."""
        return [o.accuracy[norm, precision] for o in self.outcomes if (norm, precision) in o.accuracy]

    @property
    def own(self) -> list[float]:
        """At its own width."""
        return self.at(Precision(self.bits))

    @property
    def words(self) -> str:
        """The options in words."""
        shown = {name: value for name, value in self.options.items() if name != "steps"}
        return ", ".join(f"{name} {value:g}" for name, value in shown.items()) or "-"


def line(result: Result, method: Method, bits: int, options: Options) -> Line:
    """The runs of a method with these options for a width."""
    width = bits if method.bits else 0
    jobs = [Branch(method.name, width, options, seed, "test", result.size.name) for seed in result.seeds]
    return Line(method, bits, options, [result.outcome(job) for job in jobs])


def lines(result: Result, bits: int) -> list[Line]:
    """Every method at a width, with what it chose."""
    return [line(result, method, bits, result.chosen(method, bits)) for method in result.size.rows[bits]]


def text(result: Result, published: bool) -> str:
    """Conditions, tables and sentences.

    Parameters
    ----------
    result : Result
        The whole study.
    published : bool
        Whether the data are the published archive (`psgd_ref.data.check`).
    """
    copy = "the published archive" if published else "a copy in the archive's format, whose pixels may differ"
    size = result.size
    spread = "95 % interval" if len(result.seeds) > 2 else "range"
    where = "a trunk that is not in the table" if size.searches else f"images of table {sizes.SMALL.name}"
    head = (
        f"{size.words}, {len(result.seeds)} seeds: {recipe.TRUNK_EPOCHS} epochs of SGD, then "
        f"{recipe.BRANCH_EPOCHS} of each method from the same weights. Test accuracy in per cent, "
        "mean ± standard deviation over seeds, on the grid of least squared error (LSQ at its own "
        "width: its own grid), first and last layer at 8 bits below W4, batch norms re-estimated on "
        "5,000 training images with the crops and flips of training; “as trained”: with the "
        "statistics of training. Error: (w − w̄)² in units of Δ²/12, that of weights spread evenly. "
        f"Differences: paired by seed, with their {spread}. Options: the best of four on "
        f"validation images, for every method, on {where}; W4 takes those "
        f"of W3. `psgd-ref reproduce table-{size.name}`. Data: {copy}."
    )
    parts = [head]
    for bits in reversed(size.bits):
        parts += [f"### Trained for W{bits}", table(result, bits)]
    if size.family:
        parts += ["### Decay to the grid by its strength, W2", strengths(result)]
        parts += ["### Where the gradient is taken × scale × pull, W2", family(result)]
    return "\n\n".join([*parts, "### What it says", *sentences(result)])


def table(result: Result, bits: int) -> str:
    """A line for each method at one width."""
    rows = lines(result, bits)
    baseline, lsq = rows[0], next(row for row in rows if row.method is recipe.LSQ_ROW)
    others = WIDTHS[1:]
    heads = [
        "method",
        "options",
        "full precision",
        *(p.label for p in others),
        f"W{bits} as trained",
        "error",
    ]
    heads += [f"W{bits} against SGD", "against LSQ"]
    body = [
        [
            row.method.name,
            row.words,
            *(_cell(row.at(p)) for p in (FULL, *others)),
            _cell(row.at(Precision(bits), AS_TRAINED)),
            _error(row),
            "" if row is baseline else str(difference(row.own, baseline.own)),
            "" if row is lsq else str(difference(row.own, lsq.own)),
        ]
        for row in rows
    ]
    return markdown(heads, body, "ll" + "r" * (len(heads) - 2))


def strengths(result: Result) -> str:
    """Decay to the grid at every strength that was tried, W2, on test images; none of it is a choice."""
    rows = [line(result, recipe.LEARNED, 2, result.chosen(recipe.LEARNED, 2))]
    rows += [line(result, recipe.DECAY, 2, options) for options in recipe.DECAY.candidates]
    sgd = line(result, recipe.SGD_ROW, 2, result.chosen(recipe.SGD_ROW, 2))
    body = [
        [
            f"{row.options.get('kappa', 0):g}",
            *(_cell(row.at(p)) for p in (FULL, Precision(3), Precision(2))),
            _cell(row.at(Precision(2), AS_TRAINED)),
            _error(row),
            str(difference(row.own, sgd.own)),
        ]
        for row in rows
    ]
    heads = ["κ", "full precision", "W3", "W2", "W2 as trained", "error", "W2 against SGD"]
    return markdown(heads, body, "r" * len(heads))


def family_lines(result: Result) -> list[Line]:
    """The eight of the family."""
    return [line(result, f.method, 2, family_options(result.trials, f)) for f in FAMILY]


def family(result: Result) -> str:
    """The eight, W2."""
    rows = family_lines(result)
    body = [
        [
            row.method.name,
            row.words,
            *(_cell(row.at(p)) for p in (FULL, Precision(3), Precision(2))),
            _cell(row.at(Precision(2), AS_TRAINED)),
            _error(row),
            "" if row is rows[0] else str(difference(row.own, rows[0].own)),
        ]
        for row in rows
    ]
    heads = [
        "what",
        "options",
        "full precision",
        "W3",
        "W2",
        "W2 as trained",
        "error",
        "W2 against the first",
    ]
    return markdown(heads, body, "ll" + "r" * (len(heads) - 2))


def sentences(result: Result) -> list[str]:
    """The questions that the table answers, each with its numbers."""
    gains = [_gains(result, bits) for bits in reversed(result.size.bits)]
    return [*gains, *([_parts(result)] if result.size.family else []), _lsq(result), _one_model(result)]


def _gains(result: Result, bits: int) -> str:
    """Who gains over the calibrated baseline at a width, and by how much."""
    baseline, *rows = lines(result, bits)
    lost = difference(baseline.at(FULL), baseline.own)
    spread = "interval" if len(result.seeds) > 2 else "range"
    found = {row.method.name: difference(row.own, baseline.own) for row in rows}
    gain = ", ".join(f"{name} {d}" for name, d in found.items() if d.gains) or "none"
    lose = ", ".join(f"{name} {d}" for name, d in found.items() if d.loses) or "none"
    return (
        f"**W{bits}.** SGD on the MSE grid, batch norms re-estimated, loses {lost.mean:.1f} points to "
        f"rounding. Above it, the {spread} clear of 0: {gain}. Below it: {lose}."
        f"{_better_rate(result, bits, baseline, rows)}"
    )


def _better_rate(result: Result, bits: int, baseline: Line, rows: list[Line]) -> str:
    """A word on SGD as it was chosen for another width, where that is better on test images."""
    sgd = recipe.SGD_ROW
    found = {other: line(result, sgd, bits, result.chosen(sgd, other)) for other in result.size.bits}
    other, best = max(found.items(), key=lambda item: float(np.mean(item[1].own)))
    if np.mean(best.own) <= np.mean(baseline.own):
        return ""
    trained = [row for row in rows if row.method.kind != recipe.SGD_KIND]
    against = ", ".join(f"{row.method.name} {difference(row.own, best.own)}" for row in trained)
    return (
        f" SGD as chosen for W{other} ({best.words}) is better here on test images, {cell(best.own)}; "
        f"against it: {against}."
    )


@dataclass(frozen=True)
class Addition:
    """What a part of the method adds at W2 to one of the four members of the family without it.

    Parameters
    ----------
    part : str
        What is added.
    without : Line
        What it is added to.
    beside : str
        The other parts that this has.
    gain : Difference
        With the part against without.
    """

    part: str
    without: Line
    beside: str
    gain: Difference


def additions(result: Result) -> list[Addition]:
    """What scale, pull and gradient at the rounded weights add, each with and without the others."""
    rows = {(f.at_grid, f.scale, f.pull): row for f, row in zip(FAMILY, family_lines(result), strict=True)}
    words = ("gradient at w̄", "scale", "pull")
    found = []
    for place, part in ((1, "the scale"), (2, "the pull"), (0, "the gradient at the rounded weights")):
        for key, row in rows.items():
            if not key[place]:
                with_it = rows[tuple(i == place or on for i, on in enumerate(key))]  # type: ignore[index]
                beside = " + ".join(word for word, on in zip(words, key, strict=True) if on) or "neither"
                found.append(Addition(part, row, beside, difference(with_it.own, row.own)))
    return found


def _parts(result: Result) -> str:
    """The same in words."""
    found = additions(result)
    return "\n\n".join(
        f"**What {part} adds at W2** to each of the four without it: "
        f"{'; '.join(f'{a.without.method.name}: {a.gain}' for a in found if a.part == part)}."
        for part in dict.fromkeys(a.part for a in found)
    )


def _lsq(result: Result) -> str:
    """LSQ at its own width and at others, against the best PSGD there."""
    parts = []
    for trained in _compared(result):
        rows = [row for row in lines(result, trained) if not row.method.rounds]
        lsq = next(row for row in rows if row.method is recipe.LSQ_ROW)
        psgd = [row for row in rows if row.method in recipe.PSGD_ROWS]
        for bits in (4, 3, 2):
            best = max(psgd, key=lambda row: float(np.mean(row.at(Precision(bits)))))
            gap = difference(best.at(Precision(bits)), lsq.at(Precision(bits)))
            parts.append(f"trained for W{trained}, at W{bits}: {best.method.name} {gap} points against LSQ")
    return f"**Against LSQ**, the PSGD that is best there on test images: {'; '.join(parts)}."


def _one_model(result: Result) -> str:
    """One model for all widths, the gradient at w̄ and then decay, against LSQ and pulls without scale."""
    parts = []
    for trained in _compared(result):
        rows = {row.method.name: row for row in lines(result, trained)}
        ours, lsq = rows[recipe.THEN_DECAY.name], rows[recipe.LSQ_ROW.name]
        gaps = ", ".join(f"{w.label} {difference(ours.at(w), lsq.at(w))}" for w in WIDTHS)
        rivals = [row for row in rows.values() if row.method.kind == recipe.PULL_KIND]
        others = ", ".join(f"{row.method.name} {difference(ours.own, row.own)}" for row in rivals)
        own = f"; at W{trained} against {others}" if rivals else ""
        parts.append(f"trained for W{trained}, against LSQ: {gaps}{own}")
    return f"**{recipe.THEN_DECAY.name}**, one model for all widths: {'; '.join(parts)}."


def _compared(result: Result) -> list[int]:
    """The widths at which all methods are compared, narrowest first."""
    return [bits for bits in reversed(result.size.bits) if bits < 4]


def _cell(values: Sequence[float]) -> str:
    return cell(values) if values else ""


def _error(row: Line) -> str:
    errors: Array = np.array([o.error for o in row.outcomes])
    return "" if np.isnan(errors).any() else f"{errors.mean():.2f}"
