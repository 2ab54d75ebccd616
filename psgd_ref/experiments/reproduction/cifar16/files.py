"""The files of the table `cifar16`: words, numbers and picture."""

from pathlib import Path

from psgd_ref.experiments.reproduction.cifar16 import recipe
from psgd_ref.experiments.reproduction.cifar16.study import Result
from psgd_ref.experiments.reproduction.cifar16.text import difference, lines
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.interop.whole_file import write_json, write_text

# Of the picture's right half, all trained for W2.
CURVES = (recipe.SGD_ROW, recipe.LEARNED, recipe.DECAY, recipe.AT_GRID, recipe.LSQ_ROW)
WIDTHS = (FULL, Precision(4), Precision(3), Precision(2))


def save(result: Result, folder: Path, words: str) -> dict[str, Path]:
    """Write table.md, table.json and the picture into the folder and return their paths."""
    from psgd_ref.figures.comparisons.cifar16 import draw
    from psgd_ref.figures.style import save as save_figure

    folder.mkdir(parents=True, exist_ok=True)
    table, numbers = folder / "table.md", folder / "table.json"
    write_text(table, words + "\n")
    write_json(numbers, result.as_json())
    baseline, *rows = lines(result, 2)
    found = [(row, difference(row.own, baseline.own)) for row in rows]
    gains = [(row.method.name, row.method.kind, d.mean, d.low, d.high) for row, d in found]
    curves = [
        (row.method.name, [row.at(precision) for precision in WIDTHS])
        for row in (baseline, *rows)
        if row.method in CURVES
    ]
    names = ["full", *(f"{precision.weights} bits" for precision in WIDTHS[1:])]
    picture, _ = save_figure(draw(gains, curves, names), folder / "cifar16")
    return {"table": table, "numbers": numbers, "picture": picture}
