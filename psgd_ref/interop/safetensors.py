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

from psgd_ref.interop.flattened import Flattened, flattened, flattened_inside
from psgd_ref.interop.layout import load_tensors_of, state_dict, tensors_of
from psgd_ref.interop.whole_file import whole_file
from psgd_ref.nn import Dropout, Model
from psgd_ref.nn.model import check_mask, check_model
from psgd_ref.nn.parameters import named_layers

# Tensors of a checkpoint that are not the model's: the optimiser's and the loop's.
OWN = "psgd_ref."
# The mask of a pruned model, booleans in the order of its flat vector.
MASK = f"{OWN}mask"
# The training passes that a dropout layer has seen, by its name.
DRAWS = f"{OWN}draws."
# Metadata that hold a model's structure, and the formats of it. In the first the inputs of a linear layer are
# in our order after a flattened image, too; in the last the weights are integers.
MODEL, FIRST, FORMAT, INTEGERS = f"{OWN}model", 1, 2, 3
# Metadata of a checkpoint, which has our order as well.
CHECKPOINT = "psgd_ref"
# The format's names of the dtypes that are read. NumPy has no bfloat16: it becomes float32, exactly.
BFLOAT16 = "BF16"
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", BFLOAT16: "<u2", "BOOL": "?"}
DTYPES |= {f"{sign}{8 * size}": f"<{sign.lower()}{size}" for sign in "IU" for size in (1, 2, 4, 8)}


def save_safetensors(model: Model, path: str | os.PathLike[str], input_shape: Any = None) -> None:
    """Write parameters and running statistics in PyTorch's names and layouts (see `state_dict`).

    A pruned model's zeros are written, its mask is not, since PyTorch knows no such tensor: after loading,
    `prune(model, sparsity(model))` holds the zeros again. The file appears whole or not at all.

    Parameters
    ----------
    input_shape
        As in `state_dict`.

    Raises
    ------
    ValueError
        As `state_dict`.
    OSError
        When it cannot be written.
    """
    check_model(model)
    write(Path(path), state_dict(model, input_shape), {})


def load_safetensors(model: Model, path: str | os.PathLike[str], input_shape: Any = None) -> None:
    """Read parameters and running statistics from a safetensors file. Modifies `model`.

    Parameters
    ----------
    path
        A PyTorch state dict of the same structure, in any floating dtype, or a checkpoint of
        `psgd-ref train` or a file of `save`, which may hold a mask, too; after loading the model has that
        mask, or none.
    input_shape
        As in `load_state_dict`; files of our own do without.

    Raises
    ------
    ValueError
        For a file that is not safetensors, and one that names missing, unknown and misshapen tensors
        (nothing is loaded then).
    OSError
        For one that cannot be read.
    """
    check_model(model)
    tensors, metadata = read(Path(path))
    try:
        if _version(metadata) == INTEGERS:
            raise ValueError("it holds the integers of a quantized model, which load_model reads")
        order = (
            order_of(model, metadata)
            if {MODEL, CHECKPOINT} & set(metadata)
            else flattened(model, input_shape)
        )
        load_tensors(model, tensors, order)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None


def own_tensors(model: Model, order: Flattened) -> dict[str, npt.NDArray[Any]]:
    """All that a file of our own holds of a model: weights, statistics, mask, and where its generators stand.

    Parameters
    ----------
    order
        Which tensors have PyTorch's order: `flattened_inside(model)`, or none.
    """
    tensors: dict[str, npt.NDArray[Any]] = dict(tensors_of(model, order))
    if model.mask is not None:
        tensors[MASK] = model.mask
    return tensors | {DRAWS + name: np.array(layer.draws) for name, layer in _dropouts(model).items()}


def load_tensors(model: Model, tensors: Mapping[str, npt.NDArray[Any]], order: Flattened) -> None:
    """Give the model what `own_tensors` gave, or a state dict; without a mask in it, all is free.

    Raises
    ------
    ValueError
        When they do not fit; nothing is loaded then.
    """
    mask = tensors.get(MASK)
    if mask is not None:
        check_mask(mask, model.w)
    draws = {name.removeprefix(DRAWS): t for name, t in tensors.items() if name.startswith(DRAWS)}
    dropouts = _dropouts(model)
    for name, count in draws.items():
        if name not in dropouts or count.shape != () or count.dtype != np.int64 or count < 0:
            raise ValueError(f"{DRAWS}{name} must be a whole number >= 0, and {name} a dropout layer")
    load_tensors_of(model, {name: t for name, t in tensors.items() if not name.startswith(OWN)}, order)
    model.set_mask(mask)
    for name, count in draws.items():
        dropouts[name].draws = int(count)


def _dropouts(model: Model) -> dict[str, Dropout]:
    return {name: layer for name, layer in named_layers(model.net) if isinstance(layer, Dropout)}


def order_of(model: Model, metadata: Mapping[str, str]) -> Flattened:
    """Which tensors have PyTorch's order in a file of our own."""
    return {} if _version(metadata) in (None, FIRST) else flattened_inside(model)


def _version(metadata: Mapping[str, str]) -> Any:
    """The format of the structure that a file holds; None without one."""
    structure = json.loads(metadata.get(MODEL, "{}"))
    return structure.get("format") if isinstance(structure, dict) else FORMAT


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
