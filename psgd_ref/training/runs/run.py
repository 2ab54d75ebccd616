"""A training run in a folder: configuration, metrics, checkpoints; it can be killed and resumed."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

from psgd_ref.compress import named_grid, prune, quantize, snip
from psgd_ref.core.arguments import Array
from psgd_ref.data import RECIPES, Dataset, load
from psgd_ref.data.catalogue import own_place
from psgd_ref.interop import load_safetensors
from psgd_ref.interop.whole_file import write_text
from psgd_ref.nn import Model
from psgd_ref.training.evaluation import in_order, score
from psgd_ref.training.frozen import warn_of_frozen_weights
from psgd_ref.training.loop import Epoch, train_epochs
from psgd_ref.training.progress import Progress
from psgd_ref.training.recipe import Recipe
from psgd_ref.training.runs.build import Phase, grid_rule, insert_fake_quantizer, model_of, phases
from psgd_ref.training.runs.checkpoint import checkpoints, last_whole, save_checkpoint
from psgd_ref.training.runs.configuration import Configuration, refuse_other
from psgd_ref.training.runs.configuration import configuration as options
from psgd_ref.training.runs.position_metrics import positions

CONFIGURATION, METRICS = "config.toml", "metrics.jsonl"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """What a run left: its metrics, a dictionary for each epoch, its last checkpoint, and its state."""

    metrics: list[dict[str, Any]]
    checkpoint: Path
    step: int
    interrupted: bool


def train(
    configuration: Configuration,
    folder: Path,
    resume: bool = False,
    data_folder: Path | None = None,
    say: Say = print,
    show_progress: bool | None = None,
) -> Run:
    """Train in `folder`, from the start or from its last whole checkpoint. Creates the folder.

    Writes config.toml, metrics.jsonl (a line for each epoch) and checkpoints (each epoch's end; the last
    two stay). Ctrl-C ends the run after the current step and saves it. However it is interrupted, the weights
    after resuming are bit for bit those of an uninterrupted run.

    Parameters
    ----------
    resume
        Continue the run in the folder; where there is none, start it.
    data_folder
        Where downloaded data sets live (see `psgd_ref.data.data_folder`).
    say
        Called with messages for the user, such as of a damaged checkpoint.

    Raises
    ------
    ValueError
        For a folder of another configuration or with a run in it and no `resume`.
    DivergenceError
        When training diverges; what was saved before stays.
    OSError
        When the folder cannot be written.
    """
    record = folder / CONFIGURATION
    if record.exists() and not resume:
        raise ValueError(f"{folder} holds a run already; go on with --resume or choose another folder")
    data = load(configuration.data, data_folder)
    if own_place(configuration.data) is not None:
        say(f"{data!r} from {configuration.data}")
    model = model_of(configuration, data)
    plan = phases(configuration, -(-len(data.train) // configuration.batch_size))
    recipe = Recipe(configuration.batch_size, configuration.label_smoothing, RECIPES[configuration.augment])
    progress = _restored(configuration, folder, model, say)
    if progress is None:
        # A network that the images do not fit is refused before anything is written.
        model.forward(data.normalise(data.train.images[:1]))
        progress = _first(configuration, data, model, plan[0])
        folder.mkdir(parents=True, exist_ok=True)
        write_text(record, configuration.as_toml())
        save_checkpoint(folder, model, progress, configuration.as_dict())
    _trim_metrics(folder, progress.epoch, say)
    with _stop_on_interrupt() as stopped:
        for phase in plan:
            if progress.epoch < phase.last and not stopped():
                _enter(phase, model, progress)
                _continue(phase, recipe, configuration, folder, data, model, progress, stopped, show_progress)
        if stopped():
            save_checkpoint(folder, model, progress, configuration.as_dict())
    return Run(
        read_metrics(folder),
        checkpoints(folder)[-1],
        progress.step,
        interrupted=progress.epoch < configuration.epochs,
    )


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The metrics of a run, a dictionary for each epoch; a line that was cut off is left out.

    Raises ValueError that names the file and the first line that is damaged.
    """
    lines, problems = whole_metrics(folder)
    if problems:
        raise ValueError(problems[0])
    return lines


def whole_metrics(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The lines of a run's metrics that are whole, and what is wrong with the others."""
    path = folder / METRICS
    content = path.read_bytes() if path.exists() else b""
    lines: list[dict[str, Any]] = []
    problems = []
    # What follows the last newline was being written when the run was killed.
    for number, text in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            line = json.loads(text.decode())
        except ValueError:
            line = None
        epoch = line.get("epoch") if isinstance(line, dict) else None
        if isinstance(epoch, int) and epoch > (lines[-1]["epoch"] if lines else 0):
            lines.append(line)
        else:
            problems.append(f"{path}, line {number} is damaged: the metrics of an epoch are accepted")
    return lines, problems


def _trim_metrics(folder: Path, epochs: int, say: Say) -> None:
    """Leave the lines of the first epochs, which a checkpoint continues; a damaged file is kept aside."""
    path = folder / METRICS
    lines, problems = whole_metrics(folder)
    if problems:
        aside = _free(path.with_name(f"{METRICS}.damaged"))
        path.replace(aside)
        say(f"{problems[0]}; the file is kept as {aside.name}, and its whole lines are used")
    write_text(path, _lines(line for line in lines if line["epoch"] <= epochs))


def _free(path: Path) -> Path:
    """The path, or the first of path.1, path.2, … that nothing has yet."""
    names = (path.with_name(f"{path.name}.{k}" if k else path.name) for k in count())
    return next(name for name in names if not name.exists())


def _restored(configuration: Configuration, folder: Path, model: Model, say: Say) -> Progress | None:
    found = last_whole(folder, say)
    if found is None:
        return None
    # An option that the record lacks is newer than the record: the run had its default.
    try:
        recorded = options(found.configuration).as_dict()
    except ValueError as error:
        raise ValueError(f"{found.path}: {error}") from None
    refuse_other(configuration.as_dict(), recorded, found.path)
    insert_fake_quantizer(configuration, model)
    return found.restore(model)


def _first(configuration: Configuration, data: Dataset, model: Model, phase: Phase) -> Progress:
    if configuration.start:
        load_safetensors(model, configuration.start, data.train.images.shape[1:])
    insert_fake_quantizer(configuration, model)
    if configuration.sparsity > 0:
        model.set_mask(_pruned(configuration, data, model).mask)
    return Progress.of(model, phase.optimizer.init(model), configuration.seed)


def _pruned(c: Configuration, data: Dataset, model: Model) -> Model:
    """The model at the mask that the run is to be trained at; SNIP sees the first batch of images."""
    if c.prune == "magnitude":
        return prune(model, c.sparsity / 100)
    images = data.normalise(data.train.images[: c.batch_size])
    return snip(model, images, data.train.labels[: c.batch_size], c.sparsity / 100)


def _enter(phase: Phase, model: Model, progress: Progress) -> None:
    """At the first step of a phase its optimiser begins with a state of its own; steps are counted on."""
    if progress.epoch == phase.first - 1 and not progress.losses:
        step = progress.state["step"]
        progress.state = {**phase.optimizer.init(model), "step": step}
        warn_of_frozen_weights(model, phase.optimizer, progress.state)


def _continue(
    phase: Phase,
    recipe: Recipe,
    configuration: Configuration,
    folder: Path,
    data: Dataset,
    model: Model,
    progress: Progress,
    stopped: Callable[[], bool],
    show_progress: bool | None,
) -> None:
    """Train to the end of a phase; metrics first, checkpoint second, so that no epoch lacks its line."""
    c, begun, before = configuration, perf_counter(), progress.start
    for epoch in train_epochs(
        model,
        phase.optimizer,
        data,
        progress,
        phase.last,
        recipe,
        stop=stopped,
        show_progress=show_progress,
    ):
        line = _measured(phase, c, data, model, before, epoch)
        line |= {"step": progress.step, "seconds": round(perf_counter() - begun, 3)}
        _append(folder / METRICS, line)
        save_checkpoint(folder, model, progress, c.as_dict())
        begun, before = perf_counter(), progress.start


def _measured(
    phase: Phase, c: Configuration, data: Dataset, model: Model, before: Array, epoch: Epoch
) -> dict[str, Any]:
    """The metrics of an epoch that began with the weights `before`; accuracies and fractions 0 … 1."""
    found = positions(model, before, grid_rule(c))
    rounded = quantize(model, c.bits, named_grid(c.grid))
    return {
        "epoch": epoch.epoch,
        "optimizer": phase.name,
        "loss": epoch.loss,
        "validation_loss": epoch.validation_loss,
        "validation_accuracy": epoch.validation_accuracy,
        f"validation_accuracy_W{c.bits}": score(rounded, in_order(data, "validation"))[1],
        "effective_rate": epoch.rate,
        "mean_distance": found.distance,
        "moved": found.moved,
    }


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(_lines([line]))
        file.flush()
        os.fsync(file.fileno())


def _lines(metrics: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(line) + "\n" for line in metrics)


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """A function that says whether Ctrl-C was pressed; a second press interrupts at once."""
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        print("stopping after this step; press Ctrl-C again to stop at once", file=sys.stderr)
        signal.signal(signal.SIGINT, before)

    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, note)
    except ValueError:
        # Not the main thread: interrupts are not ours to handle.
        yield lambda: False
        return
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
