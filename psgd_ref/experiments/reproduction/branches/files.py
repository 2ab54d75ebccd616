"""The files of a table: words, numbers and picture, and the record of the search."""

from pathlib import Path
from typing import TYPE_CHECKING

from psgd_ref.experiments.reproduction.branches import recipe
from psgd_ref.experiments.reproduction.branches.paired import difference
from psgd_ref.experiments.reproduction.branches.study import Result
from psgd_ref.experiments.reproduction.branches.text import WIDTHS, additions, lines
from psgd_ref.experiments.shared.search_record import save_record
from psgd_ref.interop.whole_file import write_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of the picture's right half, all trained for W2.
CURVES = (recipe.SGD_ROW, recipe.DECAY, recipe.AT_GRID, recipe.THEN_DECAY, recipe.LSQ_ROW)


def save(result: Result, folder: Path, words: str) -> dict[str, Path]:
    """Write table.md, table.json, the picture and what the search chose; return their paths."""
    from psgd_ref.figures.style import save as save_figure

    folder.mkdir(parents=True, exist_ok=True)
    table, numbers = folder / "table.md", folder / "table.json"
    write_text(table, words + "\n")
    write_json(numbers, result.as_json())
    picture, _ = save_figure(gains_picture(result), folder / result.size.name)
    paths = {"table": table, "numbers": numbers, "picture": picture}
    if result.size.searches:
        paths["search"] = save_record(result.search_record(), folder)
    return paths


def gains_picture(result: Result) -> "Figure":
    """Points gained at 2 bits over SGD's model rounded, and accuracy of some models at every width."""
    from psgd_ref.figures.comparisons.gains import draw

    baseline, *rows = lines(result, 2)
    found = [(row, difference(row.own, baseline.own)) for row in rows]
    gains = [(row.method.name, row.method.kind, d.mean, d.low, d.high) for row, d in found]
    curves = [
        (row.method.name, CURVES.index(row.method), [row.at(precision) for precision in WIDTHS])
        for row in (baseline, *rows)
        if row.method in CURVES
    ]
    names = ["full", *(f"{precision.weights} bits" for precision in WIDTHS[1:])]
    return draw(gains, curves, names)


def additions_picture(result: Result) -> "Figure":
    """What scale, pull and gradient at the rounded weights add at 2 bits, with and without the others."""
    from psgd_ref.figures.comparisons.additions import draw

    found = additions(result)
    parts = []
    for part in dict.fromkeys(a.part for a in found):
        own = [(a.beside, a.gain.mean, a.gain.low, a.gain.high) for a in found if a.part == part]
        parts.append((part.replace("the gradient at the rounded weights", "gradient at w̄"), own))
    return draw(parts)
