"""A model as PyTorch's state dict: its names, its layouts, its running statistics."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model

# Ours (HWIO, IO) to PyTorch's (OIHW, OI) and back, by number of axes; vectors stay as they are.
TO_PYTORCH = {4: (3, 2, 0, 1), 2: (1, 0)}
FROM_PYTORCH = {4: (2, 3, 1, 0), 2: (1, 0)}
# PyTorch counts the batches that a batch norm has seen; with a fixed momentum nothing reads the count.
IGNORED = "num_batches_tracked"
# What DataParallel and torch.compile put into names, around the whole model or a part of it.
WRAPPERS = ("module", "_orig_mod")
# So many tensors that do not fit are named.
NAMED = 5


def state_dict(model: Model) -> dict[str, Array]:
    """Parameters and running statistics by PyTorch's names: convolutions OIHW, linear weights (out, in).

    Copies, in the dtype of the model (statistics float32). PyTorch's models of the same structure load
    them with `strict=True`; `num_batches_tracked` is not among them and not needed there.
    """
    check_model(model)
    tensors = {segment.name: _permuted(segment.view(model.w), TO_PYTORCH) for segment in model.segments}
    return tensors | {name: buffer.copy() for name, buffer in model.buffers.items()}


def load_state_dict(model: Model, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Copy a state dict in PyTorch's names and layouts into the model. Modifies `model`.

    Parameters
    ----------
    tensors
        Every parameter and running statistic of the model, any floating dtype; "module." and "_orig_mod."
        in names are ignored, and `num_batches_tracked` is passed over.

    Raises
    ------
    ValueError
        Names the missing, unknown and misshapen tensors, the first five of them, or the one prefix by which
        all names differ; nothing is loaded then.
    """
    check_model(model)
    given = _plain_names(tensors)
    own = {segment.name: segment.view(model.w) for segment in model.segments} | model.buffers
    _refuse_prefix(given, own)
    problems = [f"{name}: missing, the model has {_shape(own[name])}" for name in own if name not in given]
    problems += [f"{name}: unknown, {given[name].shape} given" for name in given if name not in own]
    problems += [
        f"{name}: {problem}"
        for name in own
        if name in given and (problem := _problem(name, given[name], own[name]))
    ]
    if problems:
        more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
        listed = "; ".join(problems[:NAMED] + more)
        raise ValueError(f"{len(problems)} of the tensors do not fit the model: {listed}")
    for name, view in own.items():
        view[...] = _permuted(given[name], FROM_PYTORCH)


def _permuted(tensor: npt.NDArray[Any], order: dict[int, tuple[int, ...]]) -> Array:
    return np.array(tensor.transpose(order.get(tensor.ndim, range(tensor.ndim))), order="C")


def _shape(view: Array) -> tuple[int, ...]:
    """The shape of our tensor in PyTorch's layout."""
    order = TO_PYTORCH.get(view.ndim, range(view.ndim))
    return tuple(view.shape[axis] for axis in order)


def _plain_names(tensors: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The tensors by their names without wrappers; ValueError when two have the same."""
    given: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in tensors.items():
        *parts, last = name.split(".")
        plain = ".".join([*(part for part in parts if part not in WRAPPERS), last])
        if plain in given:
            raise ValueError(f"{plain} is there twice, with and without {' or '.join(WRAPPERS)} in its name")
        if last != IGNORED:
            given[plain] = tensor
    return given


def _refuse_prefix(given: Iterable[str], own: Iterable[str]) -> None:
    """Raise ValueError when the names given are the model's but for one prefix, on either side."""
    theirs, ours = set(given), set(own)
    for long, short, advice in (
        (theirs, ours, "all names begin with {!r}; remove it from them"),
        (ours, theirs, "all names lack {!r}, with which the model's begin; put it before them"),
    ):
        # Every long name ends with a short one, so the longest prefix belongs to the shortest of either.
        first, last = min(long, key=len, default=""), min(short, key=len, default="")
        prefix = first[: len(first) - len(last)]
        if prefix and long == {prefix + name for name in short}:
            raise ValueError(advice.format(prefix))


def _problem(name: str, tensor: npt.NDArray[Any], view: Array) -> str | None:
    """Why a tensor cannot be copied into ours, or None."""
    shape = _shape(view)
    if tensor.shape != shape:
        return f"shape {tensor.shape} given, the model has {shape}"
    if tensor.dtype.kind != "f":
        return f"dtype {tensor.dtype} given, floating numbers are accepted"
    if not np.isfinite(tensor).all():
        return "holds NaN or infinity"
    with np.errstate(over="ignore"):
        if not np.isfinite(tensor.astype(view.dtype)).all():
            return f"holds numbers beyond the range of {view.dtype}, {np.abs(tensor).max():.3g} among them"
    if name.rpartition(".")[2] == "running_var" and (tensor < 0).any():
        return f"holds a negative variance, {tensor.min():.3g}"
    return None
