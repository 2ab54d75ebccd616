"""Weights in safetensors files, as PyTorch writes and reads them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as to_bytes

from psgd_ref.interop.state_dict import load_state_dict, state_dict
from psgd_ref.interop.whole_file import whole_file
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_mask, check_model

# Tensors of a checkpoint that are not the model's: the optimiser's and the loop's.
OWN = "psgd_ref."
# The mask of a pruned model, booleans in the order of its flat vector.
MASK = f"{OWN}mask"
# The format's names of the dtypes that are read. NumPy has no bfloat16: it becomes float32, exactly.
BFLOAT16 = "BF16"
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", BFLOAT16: "<u2", "BOOL": "?"}
DTYPES |= {f"{sign}{8 * size}": f"<{sign.lower()}{size}" for sign in "IU" for size in (1, 2, 4, 8)}


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
        A PyTorch state dict of the same structure, in any floating dtype, or a checkpoint of
        `psgd-ref train`, which may hold a mask, too; after loading the model has that mask, or none.

    Raises
    ------
    ValueError
        For a file that is not safetensors, and one that names missing, unknown and misshapen tensors
        (nothing is loaded then).
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
    """All tensors and the metadata of a safetensors file, bfloat16 as float32.

    Raises
    ------
    ValueError
        When it is malformed.
    OSError
        When it is a folder, is not there, or cannot be read.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a safetensors file is accepted")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    content = path.read_bytes()
    try:
        found: dict[str, dict[str, Any]] = dict(deserialize(content))  # type: ignore[no-untyped-call]
        # What `deserialize` has accepted begins with the length of its header, which is JSON.
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is not a safetensors file: {' '.join(str(error).split())}") from None
    other = next((f"{name} is {t['dtype']}" for name, t in found.items() if t["dtype"] not in DTYPES), None)
    if other is not None:
        raise ValueError(f"{path}: {other}; accepted are {', '.join(DTYPES)}")
    return {name: _array(tensor) for name, tensor in found.items()}, header.get("__metadata__") or {}


def write(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: dict[str, str]) -> None:
    """Write a safetensors file so that at every moment either the old one or the new one is there whole.

    See `whole_file`.
    """
    content = to_bytes({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, metadata)
    with whole_file(path) as beside:
        beside.write_bytes(content)


def _array(tensor: Mapping[str, Any]) -> npt.NDArray[Any]:
    """A tensor as `deserialize` gives it, as an array of its own."""
    values = np.frombuffer(tensor["data"], DTYPES[tensor["dtype"]])
    if tensor["dtype"] == BFLOAT16:
        # The upper half of a float32's bits.
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(tensor["shape"]).astype(values.dtype.newbyteorder("="))
