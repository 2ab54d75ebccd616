"""The demonstration: SGD against PSGD on the embedded digits, quantized to several bit-widths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import named_grid, quantize, relative_error
from psgd_ref.core.arguments import Array
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.digits.recipe import METHODS
from psgd_ref.experiments.shared.methods import Method
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.search_record import Options
from psgd_ref.experiments.shared.tables import markdown
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.interop.whole_file import write_json, write_text
from psgd_ref.nn import Model
from psgd_ref.training import Optimizer, evaluate, warm_up

BITS = (8, 4, 3, 2)
PRECISIONS = (FULL, *(Precision(bits) for bits in BITS))
# Where errors are looked at: at 8 bits every grid is fine enough.
ERROR_PRECISIONS = tuple(Precision(bits) for bits in (4, 3, 2))
LAYER = "conv9.weight"

Accuracies = dict[Precision, float]


@dataclass(frozen=True)
class Run:
    """One training run: a method, its hyper-parameters, a seed, and the images it is measured on."""

    method: Method
    options: Options
    seed: int
    split: str


@dataclass(frozen=True)
class Outcome:
    """What a run gave: accuracies (0 … 1) and errors relative to Δ²/12, by grid and precision."""

    accuracy: dict[str, Accuracies]
    error: dict[str, Accuracies]
    model: Model


def train(run: Run) -> Model:
    """Train one model from scratch."""
    model, optimizer = _start(run)
    recipe.fit_digits(model, optimizer, recipe.EPOCHS, run.seed)
    return model


def measure(run: Run) -> Outcome:
    """Train one model and measure it, batch norms re-estimated, on the method's grids."""
    model, accuracy, error = train(run), {}, {}
    for name in grids(run.method):
        grid = named_grid(name)
        found = evaluate(model, recipe.data(), BITS, split=run.split, grid=grid, reestimate=True)
        accuracy[name] = {precision: found[precision.label] for precision in PRECISIONS}
        error[name] = {
            precision: relative_error(model, quantize(model, bits, grid))
            for precision in ERROR_PRECISIONS
            if (bits := precision.weights) is not None
        }
    return Outcome(accuracy, error, model)


def grids(method: Method) -> tuple[str, ...]:
    """The grids that the trained model is rounded to; clipping is a row of its own for SGD."""
    return ("min-max", "mse") if method == recipe.BASELINE else (method.grid,)


def warm_ups(run: Run) -> list[Callable[[], None]]:
    """Calls that between them compile the kernels of the run, for `run_all`."""
    model, _ = _start(run)
    return [partial(_warm_up, run, stage) for stage in warm_up.stages(model)]


def _warm_up(run: Run, stage: str) -> None:
    model, optimizer = _start(run)
    warm_up.rehearse(model, optimizer, recipe.data().train.images.shape[1:], stage)


def _start(run: Run) -> tuple[Model, Optimizer]:
    """The network before its first step, and what trains it."""
    steps = recipe.steps(recipe.EPOCHS)
    return recipe.network(run.seed), recipe.optimizer(run.method.target.weights, run.options, steps)


@dataclass(frozen=True)
class Row:
    """A line of the table: accuracies (0 … 1) and relative errors, one for each seed, by precision."""

    method: str
    accuracy: dict[Precision, list[float]]
    error: dict[Precision, list[float]]

    def as_json(self) -> dict[str, Any]:
        """The row as plain values."""
        accuracy, error = (
            {precision.label: values for precision, values in quantity.items()}
            for quantity in (self.accuracy, self.error)
        )
        return {"method": self.method, "accuracy": accuracy, "error": error}

    @staticmethod
    def read(record: dict[str, Any]) -> "Row":
        """The row that `as_json` wrote."""
        accuracy, error = (
            {Precision.read(label): values for label, values in record[quantity].items()}
            for quantity in ("accuracy", "error")
        )
        return Row(record["method"], accuracy, error)


@dataclass(frozen=True)
class Result:
    """The demonstration's numbers, and the first seed's model of each method for the histograms."""

    seeds: list[int]
    chosen: dict[str, Options]
    rows: list[Row]
    seconds: float
    models: dict[str, Model]

    def as_json(self) -> dict[str, Any]:
        """Everything but the models, as plain values."""
        return {
            "seeds": self.seeds,
            "chosen": self.chosen,
            "rows": [row.as_json() for row in self.rows],
            "seconds": round(self.seconds, 1),
        }


def run(seeds: Sequence[int], workers: int | None = None) -> Result:
    """Train every method with its chosen hyper-parameters for every seed and measure on the test images."""
    start = perf_counter()
    options = recipe.chosen_options()
    jobs = [Run(method, options[method.name], seed, "test") for method in METHODS for seed in seeds]
    outcomes = run_all(measure, jobs, workers, "training", warm_ups(jobs[0]))
    by_method = {
        method.name: [o for job, o in zip(jobs, outcomes, strict=True) if job.method == method]
        for method in METHODS
    }
    rows = [_row(method.name, method.grid, by_method[method.name]) for method in METHODS]
    rows.insert(1, _row(f"{recipe.BASELINE.name} + MSE clipping", "mse", by_method[recipe.BASELINE.name]))
    models = {name: found[0].model for name, found in by_method.items()}
    return Result(list(seeds), options, rows, perf_counter() - start, models)


def table(rows: Sequence[Row]) -> str:
    """Markdown: mean ± standard deviation over seeds, accuracies in per cent."""
    heads = ["method", "full precision", *(precision.label for precision in PRECISIONS[1:])]
    heads += [f"error {precision.label}" for precision in ERROR_PRECISIONS]
    lines = []
    for row in rows:
        cells = [row.method]
        cells += [_cell(100 * np.array(row.accuracy[precision]), 1) for precision in PRECISIONS]
        cells += [_cell(np.array(row.error[precision]), 2) for precision in ERROR_PRECISIONS]
        lines.append(cells)
    return markdown(heads, lines, "l" + "r" * (len(heads) - 1))


def save(result: Result, folder: Path) -> dict[str, Path]:
    """Write the table, the numbers and the picture into `folder` and return their paths."""
    from psgd_ref.figures.comparisons.demo import draw
    from psgd_ref.figures.style import save as save_figure

    folder.mkdir(parents=True, exist_ok=True)
    words, numbers = folder / "table.md", folder / "numbers.json"
    write_text(words, table(result.rows) + "\n")
    write_json(numbers, result.as_json())
    picture, _ = save_figure(draw(result.rows, histograms(result.models)), folder / "demo")
    return {"table": words, "numbers": numbers, "picture": picture}


@dataclass(frozen=True)
class Histogram:
    """One layer's weights in units of the step Δ of the grid they are quantized to."""

    method: str
    bits: int
    weights: Array
    codes: npt.NDArray[np.signedinteger]


def histograms(models: dict[str, Model]) -> list[Histogram]:
    """SGD's layer on the 3-bit grid, and each PSGD layer on its own."""
    found = []
    for method in METHODS:
        model, bits = models[method.name], method.target.weights or 3
        tensor = quantize(model, bits, named_grid(method.grid)).quantized[LAYER]
        weights = model.segment(LAYER).view(model.w) / tensor.scale
        found.append(Histogram(method.name, bits, weights.ravel(), tensor.codes.ravel()))
    return found


def _row(name: str, grid: str, outcomes: list[Outcome]) -> Row:
    return Row(
        name,
        {p: [outcome.accuracy[grid][p] for outcome in outcomes] for p in PRECISIONS},
        {p: [outcome.error[grid][p] for outcome in outcomes] for p in ERROR_PRECISIONS},
    )


def _cell(values: Array, digits: int) -> str:
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"
