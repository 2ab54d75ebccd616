"""Checkpoints: a run as one safetensors file, which is read whole or refused.

Weights and running statistics have PyTorch's names and layouts, so that PyTorch loads the file; what
only this package needs begins with "psgd_ref.", and the rest stands in the metadata as JSON.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.interop.safetensors import CHECKPOINT, OWN, load_tensors, own_tensors, read, write
from psgd_ref.nn import Model
from psgd_ref.training.progress import Progress

# One key: with several, the library writes them in a different order each time.
KEY = CHECKPOINT
OPTIMIZER, LOSSES, START = f"{OWN}optimizer.", f"{OWN}losses", f"{OWN}start"
# What every checkpoint has: tensors, and fields of the record with their types in JSON.
TENSORS = (f"{OPTIMIZER}step", LOSSES, START)
FIELDS: dict[str, type | UnionType] = {
    "epoch": int,
    "generator": dict,
    "largest": int | float,
    "configuration": dict,
}
KEPT = 2

Tensors = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: `path`, all `tensors`, and the `record` from the metadata."""

    path: Path
    tensors: Tensors
    record: dict[str, Any]

    @property
    def configuration(self) -> dict[str, Any]:
        """The options of its run."""
        return dict(self.record["configuration"])

    def load_weights(self, model: Model) -> None:
        """Give the model weights, statistics and mask; ValueError, nothing loaded, when they do not fit."""
        load_tensors(model, self.tensors, {})

    def restore(self, model: Model) -> Progress:
        """Give the model the weights, statistics and mask, and return where the run stood."""
        self.load_weights(model)
        state = {
            name.removeprefix(OPTIMIZER): tensor.copy()
            for name, tensor in self.tensors.items()
            if name.startswith(OPTIMIZER)
        }
        return Progress(
            state=state,
            rng=np.random.default_rng(),
            start=self.tensors[START].copy(),
            largest=self.record["largest"],
            epoch=self.record["epoch"],
            losses=self.tensors[LOSSES].tolist(),
            generator=self.record["generator"],
        )


def save_checkpoint(folder: Path, model: Model, progress: Progress, configuration: dict[str, Any]) -> Path:
    """Write checkpoint-STEP.safetensors and delete all but the last two. Returns its path.

    Raises
    ------
    OSError
        When it cannot be written; earlier ones are then as they were.
    """
    tensors = own_tensors(model, {})
    tensors |= {OPTIMIZER + name: value for name, value in progress.state.items()}
    tensors |= {LOSSES: np.array(progress.losses), START: progress.start}
    record = {
        "epoch": progress.epoch,
        "generator": progress.generator,
        "largest": progress.largest,
        "configuration": configuration,
    }
    record["sha256"] = checksum(tensors, record)
    path = folder / f"checkpoint-{progress.step:08d}.safetensors"
    write(path, tensors, {KEY: json.dumps(record)})
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink()
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint whose contents match its checksum; ValueError when it is damaged or not a checkpoint."""
    tensors, metadata = read(path)
    try:
        record = json.loads(metadata[KEY])
        whole = record.pop("sha256") == checksum(tensors, record)
    except (KeyError, ValueError, AttributeError, TypeError):
        raise ValueError(f"{path} is not a checkpoint of psgd_ref") from None
    if not whole:
        raise ValueError(f"{path} is damaged: its contents do not have their checksum")
    lacking = [name for name in TENSORS if name not in tensors]
    lacking += [name for name, kind in FIELDS.items() if not isinstance(record.get(name), kind)]
    if lacking:
        raise ValueError(f"{path} is a checkpoint without {', '.join(lacking)}")
    return Checkpoint(path, tensors, record)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(folder.glob("checkpoint-*.safetensors"))


def last_whole(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole; None when there is none at all.

    say : called with what is wrong with each newer one
    Raises ValueError when there are some and none is whole.
    """
    problems: list[str] = []
    for path in reversed(checkpoints(folder)):
        try:
            found = read_checkpoint(path)
        except ValueError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            say(f"{problem}; {path.name} is used")
        return found
    if problems:
        raise ValueError(f"{folder} has no whole checkpoint: {'; '.join(problems)}")
    return None


def checksum(tensors: Tensors, record: Mapping[str, Any]) -> str:
    """SHA-256 of the record and of every tensor's name, dtype, shape and bytes."""
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.asarray(tensors[name], order="C")
        digest.update(f"{name} {tensor.dtype.str} {tensor.shape} ".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()
