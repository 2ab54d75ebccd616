"""The demonstration: SGD against PSGD on the embedded digits, quantized to several widths."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import MinMaxGrid, named_grid, quantize, relative_error
from psgd_ref.core.arguments import Array
from psgd_ref.data import Shift, load_digits
from psgd_ref.experiments.shared.rows import markdown
from psgd_ref.experiments.shared.search_record import Options, chosen
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.interop.whole_file import write_json, write_text
from psgd_ref.models import convnet
from psgd_ref.nn import Model
from psgd_ref.training import PSGD, SGD, CrossEntropy, Objective, Optimizer, cosine, evaluate, fit
from psgd_ref.training import warm_up as rehearsal

WIDTHS = (8, 4, 3, 2)
ERROR_WIDTHS = (4, 3, 2)
COLUMNS = ("full", *(f"W{width}" for width in WIDTHS))
LAYER = "conv9.weight"

# The task is the same for every method. Small batches, moved images and label smoothing keep the
# gradient noisy to the end, which is what clustering lives on (claim E2).
CHANNELS = (8, 8, 8, 8, 8, 8, 8, 8, 16)
EPOCHS = 40
BATCH_SIZE = 50
LABEL_SMOOTHING = 0.1
SHIFT = 1
WEIGHT_DECAY = 5e-4


@dataclass(frozen=True)
class Method:
    """A way to train, by name; `bits` is the width of the targets, None for plain SGD."""

    name: str
    bits: int | None

    @property
    def own_column(self) -> str:
        """The precision that the method is trained for."""
        return "full" if self.bits is None else f"W{self.bits}"

    @property
    def grids(self) -> tuple[str, ...]:
        """The grids that the trained model is rounded to; clipping is a row of its own for SGD."""
        return ("min-max", "mse") if self.bits is None else ("min-max",)

    def optimizer(self, options: Options, steps: int) -> Optimizer:
        """With a cosine schedule that ends at 0; the options are those of `SGD` or `PSGD`."""
        fixed = {"weight_decay": WEIGHT_DECAY, **options}
        schedule = cosine(fixed.pop("lr"), steps)
        if self.bits is None:
            return SGD(schedule, **fixed)
        return PSGD(schedule, grid=MinMaxGrid(self.bits), **fixed)


METHODS = (Method("SGD", None), Method("PSGD → W3", 3), Method("PSGD → W2", 2))


@dataclass(frozen=True)
class Run:
    """One training run: a method, its hyper-parameters, a seed, and the images it is measured on."""

    method: Method
    options: Options
    seed: int
    split: str


@dataclass(frozen=True)
class Outcome:
    """What a run gave: accuracies (0 … 1) and errors relative to Δ²/12, by grid and column."""

    accuracy: dict[str, dict[str, float]]
    error: dict[str, dict[str, float]]
    model: Model


def chosen_options() -> dict[str, Options]:
    """The hyper-parameters that the search chose, by method."""
    return chosen(__package__)


def steps(epochs: int) -> int:
    """How many steps so many passes over the training images are."""
    return epochs * -(-len(load_digits().train) // BATCH_SIZE)


def fit_digits(
    model: Model, optimizer: Optimizer, epochs: int, seed: int, objective: Objective | None = None
) -> None:
    """Train on the digits with the demonstration's batches, moved images and label smoothing.

    objective : what to make smaller instead of the smoothed cross-entropy. Modifies `model`.
    """
    fit(
        model,
        optimizer,
        load_digits(),
        epochs=epochs,
        batch_size=BATCH_SIZE,
        augment=Shift(SHIFT),
        seed=seed,
        objective=objective or CrossEntropy(LABEL_SMOOTHING),
        report=False,
        show_progress=False,
    )


def train(run: Run) -> Outcome:
    """Train one model from scratch and measure it, batch norms re-estimated, on the method's grids."""
    data = load_digits()
    model, optimizer = _start(run)
    fit_digits(model, optimizer, EPOCHS, run.seed)
    accuracy, error = {}, {}
    for name in run.method.grids:
        grid = named_grid(name)
        accuracy[name] = evaluate(model, data, WIDTHS, split=run.split, grid=grid, reestimate=True)
        error[name] = {
            f"W{bits}": relative_error(model, quantize(model, bits, grid)) for bits in ERROR_WIDTHS
        }
    return Outcome(accuracy, error, model)


def rehearsals(run: Run) -> list[Callable[[], None]]:
    """Calls that between them compile the kernels of the run, for `run_all`."""
    model, _ = _start(run)
    return [partial(_rehearse, run, part) for part in rehearsal.parts(model)]


def _rehearse(run: Run, part: str) -> None:
    model, optimizer = _start(run)
    rehearsal.rehearse(model, optimizer, load_digits().train.images.shape[1:], part)


def _start(run: Run) -> tuple[Model, Optimizer]:
    """The network before its first step, and what trains it."""
    return convnet(widths=CHANNELS, seed=run.seed), run.method.optimizer(run.options, steps(EPOCHS))


@dataclass(frozen=True)
class Row:
    """A line of the table: accuracies (0 … 1) and relative errors, one for each seed, by column."""

    method: str
    accuracy: dict[str, list[float]]
    error: dict[str, list[float]]


@dataclass(frozen=True)
class Result:
    """The demonstration's numbers, and the first seed's model of each method for the histograms."""

    seeds: list[int]
    chosen: dict[str, Options]
    rows: list[Row]
    seconds: float
    models: dict[str, Model]

    def table(self) -> str:
        """The table as Markdown: mean ± standard deviation over seeds, accuracies in per cent."""
        heads = ["method", "full precision", *COLUMNS[1:], *(f"error W{bits}" for bits in ERROR_WIDTHS)]
        lines = []
        for row in self.rows:
            cells = [row.method]
            cells += [_cell(100 * np.array(row.accuracy[column]), 1) for column in COLUMNS]
            cells += [_cell(np.array(values), 2) for values in row.error.values()]
            lines.append(cells)
        return markdown(heads, lines, "l" + "r" * (len(heads) - 1))

    def as_json(self) -> dict[str, Any]:
        """Everything but the models, as plain numbers."""
        return {
            "seeds": self.seeds,
            "chosen": self.chosen,
            "rows": [asdict(row) for row in self.rows],
            "seconds": round(self.seconds, 1),
        }


def run(seeds: Sequence[int], workers: int | None = None) -> Result:
    """Train every method with its chosen hyper-parameters for every seed and measure on the test images."""
    start = perf_counter()
    options = chosen_options()
    jobs = [Run(method, options[method.name], seed, "test") for method in METHODS for seed in seeds]
    outcomes = run_all(train, jobs, workers, "training", rehearsals(jobs[0]))
    by_method = {
        method.name: [o for job, o in zip(jobs, outcomes, strict=True) if job.method == method]
        for method in METHODS
    }
    rows = [_row(name, "min-max", found) for name, found in by_method.items()]
    rows.insert(1, _row("SGD + MSE clipping", "mse", by_method["SGD"]))
    models = {name: found[0].model for name, found in by_method.items()}
    return Result(list(seeds), options, rows, perf_counter() - start, models)


def save(result: Result, folder: Path) -> dict[str, Path]:
    """Write the table, the numbers and the picture into `folder` and return their paths."""
    from psgd_ref.figures.comparisons.demo import draw
    from psgd_ref.figures.style import save as save_figure

    folder.mkdir(parents=True, exist_ok=True)
    table, numbers = folder / "table.md", folder / "numbers.json"
    write_text(table, result.table() + "\n")
    write_json(numbers, result.as_json())
    picture, _ = save_figure(draw(result.rows, histograms(result.models)), folder / "demo")
    return {"table": table, "numbers": numbers, "picture": picture}


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
        model, bits = models[method.name], method.bits or 3
        tensor = quantize(model, bits).quantized[LAYER]
        weights = model.segment(LAYER).view(model.w) / tensor.scale
        found.append(Histogram(method.name, bits, weights.ravel(), tensor.codes.ravel()))
    return found


def _row(name: str, grid: str, outcomes: list[Outcome]) -> Row:
    return Row(
        name,
        {column: [outcome.accuracy[grid][column] for outcome in outcomes] for column in COLUMNS},
        {f"W{bits}": [outcome.error[grid][f"W{bits}"] for outcome in outcomes] for bits in ERROR_WIDTHS},
    )


def _cell(values: Array, digits: int) -> str:
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"
