"""What was saved, opened again: a run's folder, a checkpoint, or a state dict of PyTorch's."""

import sys
from collections.abc import Callable
from pathlib import Path

from psgd_ref.data import RECIPES, Dataset, load
from psgd_ref.data.catalogue import image_shape
from psgd_ref.interop import load_model, load_safetensors
from psgd_ref.interop.safetensors import MODEL, read
from psgd_ref.nn import Model
from psgd_ref.training.runs.build import build_model, insert_fake_quantizer
from psgd_ref.training.runs.checkpoint import KEY, Checkpoint, last_whole, read_checkpoint
from psgd_ref.training.runs.configuration import configuration


def _to_standard_error(text: str) -> None:
    print(text, file=sys.stderr)


def open_saved(
    path: Path,
    model: str | None = None,
    data: str | None = None,
    folder: Path | None = None,
    say: Callable[[str], None] = _to_standard_error,
) -> tuple[Model, Dataset]:
    """The model as `open_model` gives it, and the data set it was trained on.

    Parameters
    ----------
    folder
        Where downloaded data sets live.
    """
    network, name = open_model(path, model, data, say)
    return network, load(name, folder)


def open_model(
    path: Path,
    model: str | None = None,
    data: str | None = None,
    say: Callable[[str], None] = _to_standard_error,
) -> tuple[Model, str]:
    """The model of the last whole checkpoint in a folder, or of a file, and the name of its data set.

    A file of `psgd_ref.save` holds its own structure, and may hold integers.

    Parameters
    ----------
    model, data
        Names, for a file without metadata; they take precedence over its own.
    say
        Called with which damaged checkpoints were skipped for an older one.

    Raises
    ------
    ValueError
        For what is neither a run nor a safetensors file, and when a name is missing.
    """
    if path.is_file() and MODEL in read(path)[1]:
        if data is None:
            raise ValueError(f"{path} does not say its data; give it with --data")
        whole = load_model(path)
        whole.input_shape = image_shape(data)[0]
        return whole, data
    found = _checkpoint(path, say)
    options = {} if found is None else found.configuration
    names = {"model": model or options.get("model"), "data": data or options.get("data")}
    for name, value in names.items():
        if value is None:
            raise ValueError(f"{path} does not say its {name}; give it with --{name}")
    shape, classes = image_shape(str(names["data"]))
    network = build_model(str(names["model"]), shape, classes)
    network.input_shape = shape
    if found is None:
        load_safetensors(network, path)
    else:
        recorded = configuration(options)
        network.augment = RECIPES[recorded.augment]
        insert_fake_quantizer(recorded, network)
        found.load_weights(network)
    return network, str(names["data"])


def _checkpoint(path: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The checkpoint at a path, or None for a safetensors file from elsewhere."""
    if path.is_dir():
        found = last_whole(path, say)
        if found is None:
            raise ValueError(f"{path} holds no checkpoint")
        return found
    return read_checkpoint(path) if KEY in read(path)[1] else None
