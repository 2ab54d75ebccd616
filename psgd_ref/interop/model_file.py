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

from psgd_ref.compress import QuantizedModel
from psgd_ref.core.arguments import Array
from psgd_ref.interop.flattened import flattened_inside
from psgd_ref.interop.integers import Unpacked, packed, quantized_model, unpacked
from psgd_ref.interop.safetensors import (
    FIRST,
    FORMAT,
    INTEGERS,
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
    images. Of a `QuantizedModel` the file holds the integers: codes of 3 and 4 bits stand two to a byte, of
    2 bits four, the first in the low bits, beside their scales. PyTorch loads the tensors of other models;
    but where a network flattens its very input, they keep our order, (H, W, C).

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
    ...     print(pr.load_model(path).w.shape)
    ...     pr.save(pr.quantize(pr.models.mlp((4, 3, 2)), bits=4), path)
    ...     pr.load_model(path).weight_bits
    (23,)
    {'fc1.weight': 4, 'fc2.weight': 4}
    """
    check_model(model)
    order = flattened_inside(model)
    # Older versions go on reading what they can.
    version = INTEGERS if isinstance(model, QuantizedModel) else FORMAT if order else FIRST
    structure: dict[str, Any] = {"format": version, "dtype": str(model.w.dtype), "net": describe(model.net)}
    if model.pixels is not None:
        structure["pixels"] = [np.asarray(part).tolist() for part in model.pixels]
    if model.augment is not None:
        from psgd_ref.data.augment import as_record  # the data import the formats

        structure["augment"] = as_record(model.augment)
    tensors = own_tensors(model, order)
    if isinstance(model, QuantizedModel):
        structure["quantized"], integers = packed(model, order)
        floats = {name: tensor for name, tensor in tensors.items() if name not in model.quantized}
        tensors = floats | integers
    bad = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
    if bad:
        raise ValueError(f"a model must be finite to be saved; NaN or infinity in {', '.join(bad)}")
    write(Path(path), tensors, {KEY: json.dumps(structure)})


def load_model(path: str | os.PathLike[str]) -> Model:
    """The model in a file that `save` wrote.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    Model
        A new model with the same structure, weights, statistics and mask, bit for bit; a `QuantizedModel`
        where the file holds integers.

    Raises
    ------
    ValueError
        For a file that is damaged, holds no structure, or whose structure and tensors do not fit.
    OSError
        When it cannot be read.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import psgd_ref as pr
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "model.safetensors"
    ...     pr.save(pr.quantize(pr.models.mlp((4, 3, 2)), bits=4), path)
    ...     pr.load_model(path).weight_bits
    {'fc1.weight': 4, 'fc2.weight': 4}
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
        return _loaded(json.loads(metadata[KEY]), tensors, metadata)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a model file: {str(error) or type(error).__name__}") from None


def load_quantized(path: str | os.PathLike[str]) -> QuantizedModel:
    """`load_model`, of a file that holds integers.

    Raises
    ------
    ValueError
        Also for a model of floats.
    OSError
        When it cannot be read.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> load_quantized("missing.safetensors")
    Traceback (most recent call last):
    FileNotFoundError: there is no file missing.safetensors
    """
    model = load_model(path)
    if not isinstance(model, QuantizedModel):
        raise ValueError(f"{path} holds a model of floats; load_model reads it, and quantize rounds it")
    return model


def _loaded(structure: Any, tensors: dict[str, npt.NDArray[Any]], metadata: dict[str, str]) -> Model:
    """The model of a structure with its tensors; ValueError for those that do not fit, at no cost."""
    if not isinstance(structure, dict) or structure.get("format") not in (FIRST, FORMAT, INTEGERS):
        raise ValueError(f"its structure must have format {FIRST}, {FORMAT} or {INTEGERS}")
    dtype = structure.get("dtype")
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}; got {dtype!r}")
    whole = structure["format"] == INTEGERS
    found = unpacked(structure.get("quantized"), tensors, dtype) if whole else Unpacked(tensors, {})
    model = _build(structure, found.shapes, dtype)
    order = order_of(model, metadata)
    if not whole:
        load_tensors(model, tensors, order)
        return model
    quantized, values = quantized_model(model, found, order)
    load_tensors(quantized, values, order)
    return quantized


def _build(structure: dict[str, Any], shapes: dict[str, tuple[int, ...]], dtype: str) -> Model:
    """A model of the structure; ValueError for one larger than the tensors of these shapes."""
    net = build(structure.get("net"), shapes)
    wanted = sum(math.prod(segment.shape) for segment in lay_out(net))
    if not 0 < wanted <= sum(math.prod(shape) for shape in shapes.values()):
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
