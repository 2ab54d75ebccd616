"""A model as one file: its structure and its weights, nothing that runs.

A safetensors file. Tensors have PyTorch's names and layouts, so that PyTorch loads them; the structure is
JSON in the metadata.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array
from psgd_ref.interop.flattened import flattened_inside
from psgd_ref.interop.safetensors import (
    FIRST,
    FORMAT,
    MODEL,
    load_tensors,
    order_of,
    own_tensors,
    read,
    write,
)
from psgd_ref.interop.structure import build, describe
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model
from psgd_ref.nn.parameters import lay_out

# One key: with several, the library writes them in another order each time.
KEY = MODEL
DTYPES = ("float32", "float64")


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model, structure and weights, to a safetensors file. The file appears whole or not at all.

    A pruned model keeps its mask, a trained one how raw pixels are normalised and what changed its training
    images. A quantized model is saved as the numbers that it computes with, not as integers. PyTorch
    loads the tensors; but where a network flattens its very input, they keep our order, (H, W, C).

    Parameters
    ----------
    model
        Of the layers of `psgd_ref.nn`, without fake quantizers or parametrizations.
    path
        Of the file; one that is there is replaced.

    Raises
    ------
    ValueError
        For a layer or a change of images that a file cannot hold, and for weights that are not finite.
    OSError
        When the file cannot be written.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import psgd_ref as pr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "model.safetensors"
    ...     pr.save(pr.models.mlp((4, 3, 2)), path)
    ...     pr.load_model(path).w.shape
    (23,)
    """
    check_model(model)
    order = flattened_inside(model)
    # Older versions go on reading what they can.
    version = FORMAT if order else FIRST
    structure: dict[str, Any] = {"format": version, "dtype": str(model.w.dtype), "net": describe(model.net)}
    if model.pixels is not None:
        structure["pixels"] = [np.asarray(part).tolist() for part in model.pixels]
    if model.augment is not None:
        from psgd_ref.data.augment import as_record  # the data import the formats

        structure["augment"] = as_record(model.augment)
    tensors = own_tensors(model, order)
    bad = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
    if bad:
        raise ValueError(f"a model must be finite to be saved; NaN or infinity in {', '.join(bad)}")
    write(Path(path), tensors, {KEY: json.dumps(structure)})


def load_model(path: str | os.PathLike[str]) -> Model:
    """The model in a file that `save` wrote.

    Returns
    -------
    Model
        A new model with the same structure, weights, statistics and mask, bit for bit.

    Raises
    ------
    ValueError
        For a file that is damaged, holds no structure, or whose structure and tensors do not fit.
    OSError
        When it cannot be read.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> pr.load_model("missing.safetensors")
    Traceback (most recent call last):
    FileNotFoundError: there is no file missing.safetensors
    """
    tensors, metadata = read(Path(path))
    if KEY not in metadata:
        raise ValueError(
            f"{path} holds no structure, it is no model file; `load_safetensors` reads weights into a model"
        )
    try:
        model = _build(json.loads(metadata[KEY]), tensors)
        load_tensors(model, tensors, order_of(model, metadata))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a model file: {str(error) or type(error).__name__}") from None
    return model


def _build(structure: Any, tensors: dict[str, npt.NDArray[Any]]) -> Model:
    """A model of the structure; ValueError for a structure larger than its tensors, at no cost."""
    if not isinstance(structure, dict) or structure.get("format") not in (FIRST, FORMAT):
        raise ValueError(f"its structure must have format {FIRST} or {FORMAT}")
    dtype = structure.get("dtype")
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}")
    net = build(structure.get("net"), {name: tensor.shape for name, tensor in tensors.items()})
    wanted = sum(math.prod(segment.shape) for segment in lay_out(net))
    if not 0 < wanted <= sum(tensor.size for tensor in tensors.values()):
        raise ValueError(f"its structure has {wanted} parameters, more or fewer than its tensors")
    model = Model(net, dtype=dtype)
    if "pixels" in structure:
        model.pixels = _pixels(structure["pixels"])
    if "augment" in structure:
        from psgd_ref.data.augment import from_record

        model.augment = from_record(structure["augment"])
    return model


def _pixels(record: Any) -> tuple[Array, Array]:
    """Mean and std by channel; ValueError for other values."""
    try:
        mean, std = (np.array(part, np.float32) for part in record)
    except (TypeError, ValueError):
        raise ValueError("pixels must be mean and std by channel") from None
    if mean.ndim != 1 or mean.shape != std.shape or not np.isfinite(mean).all() or not (std > 0).all():
        raise ValueError("pixels must be finite means and positive stds by channel")
    return mean, std
