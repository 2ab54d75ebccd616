"""Weights in safetensors files, as PyTorch writes and reads them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from psgd_ref.interop.state_dict import load_state_dict, state_dict
from psgd_ref.interop.whole_file import whole_file
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_mask, check_model

# Tensors of a checkpoint that are not the model's: the optimiser's and the loop's.
OWN = "psgd_ref."
# The mask of a pruned model, booleans in the order of its flat vector.
MASK = f"{OWN}mask"


def save_safetensors(model: Model, path: str | os.PathLike[str]) -> None:
    """Write parameters and running statistics in PyTorch's names and layouts (see `state_dict`).

    A pruned model's zeros are written, its mask is not, since PyTorch knows no such tensor: after loading,
    `prune(model, sparsity(model))` holds the zeros again. The file appears whole or not at all.

    Raises
    ------
    OSError
        When it cannot be written.
    """
    check_model(model)
    write(Path(path), state_dict(model), {})


def load_safetensors(model: Model, path: str | os.PathLike[str]) -> None:
    """Read parameters and running statistics from a safetensors file. Modifies `model`.

    Parameters
    ----------
    path
        A PyTorch state dict of the same structure, or a checkpoint of `psgd-ref train`, which may hold
        a mask, too; after loading the model has that mask, or none.

    Raises
    ------
    ValueError
        For a file that is not safetensors, and one that lists every missing, unknown or misshapen
        tensor (nothing is loaded then).
    OSError
        For one that cannot be read.
    """
    check_model(model)
    tensors, _ = read(Path(path))
    try:
        load_tensors(model, tensors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def load_tensors(model: Model, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Give the model the weights, statistics and mask of a file; without a mask in it, all is free.

    Raises
    ------
    ValueError
        When they do not fit; nothing is loaded then.
    """
    mask = tensors.get(MASK)
    if mask is not None:
        check_mask(mask, model.w)
    load_state_dict(model, {name: t for name, t in tensors.items() if not name.startswith(OWN)})
    model.set_mask(mask)


def read(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """All tensors and the metadata of a safetensors file; ValueError when it is malformed."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a safetensors file is accepted")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, "numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, TypeError, KeyError, AttributeError) as error:
        # NumPy has no bfloat16; the library then fails on the name of the dtype.
        raise ValueError(f"{path} is not a safetensors file of NumPy's dtypes: {error}") from None


def write(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: dict[str, str]) -> None:
    """Write a safetensors file so that at every moment either the old one or the new one is there whole.

    See `whole_file`.
    """
    content = to_bytes({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, metadata)
    with whole_file(path) as beside:
        beside.write_bytes(content)
