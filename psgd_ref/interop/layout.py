"""A model as PyTorch's state dict: its names, its layouts, its running statistics."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array
from psgd_ref.interop.flattened import Flattened, flattened, from_pytorch, to_pytorch
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model

# Ours (HWIO, HWC, IO) to PyTorch's (OIHW, CHW, OI) and back, by number of axes; vectors stay as they are.
TO_PYTORCH = {4: (3, 2, 0, 1), 3: (2, 0, 1), 2: (1, 0)}
FROM_PYTORCH = {4: (2, 3, 1, 0), 3: (1, 2, 0), 2: (1, 0)}
# PyTorch counts the batches that a batch norm has seen; with a fixed momentum nothing reads the count.
IGNORED = "num_batches_tracked"
# What DataParallel and torch.compile put into names, around the whole model or a part of it.
WRAPPERS = ("module", "_orig_mod")
# So many tensors that do not fit are named.
NAMED = 5


def state_dict(model: Model, input_shape: Any = None) -> dict[str, Array]:
    """Parameters and running statistics by PyTorch's names: convolutions OIHW, linear weights (out, in).

    Copies, in the dtype of the model (statistics float32). PyTorch's models of the same structure load
    them with `strict=True`; `num_batches_tracked` is not among them and not needed there. Behind a flattened
    image the inputs of a linear layer are in PyTorch's order, (C, H, W).

    Parameters
    ----------
    input_shape
        Of one input, (H, W, C), or (I,) for rows; by default that of the images that the model saw last. It
        is needed for a network that flattens its very input, such as `mlp`, which tells no channels.

    Raises
    ------
    ValueError
        When it is needed and not known.
    """
    check_model(model)
    return tensors_of(model, flattened(model, input_shape))


def tensors_of(model: Model, order: Flattened) -> dict[str, Array]:
    """`state_dict`, with the tensors named in `order` in PyTorch's order and the others as they are."""
    own = {segment.name: segment.view(model.w) for segment in model.segments} | model.buffers
    return {name: pytorch_layout(view, order.get(name)) for name, view in own.items()}


def load_state_dict(model: Model, tensors: Mapping[str, Any], input_shape: Any = None) -> None:
    """Copy a state dict in PyTorch's names and layouts into the model. Modifies `model`.

    Parameters
    ----------
    tensors
        Every parameter and running statistic of the model, as arrays or PyTorch's tensors of any floating
        dtype; "module." and "_orig_mod." in names are ignored, and `num_batches_tracked` is passed over.
    input_shape
        As in `state_dict`.

    Raises
    ------
    ValueError
        Names the missing, unknown and misshapen tensors, the first five of them, or the one prefix by which
        all names differ; nothing is loaded then.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> model, other = pr.models.mlp((4, 3, 2), seed=0), pr.models.mlp((4, 3, 2), seed=1)
    >>> tensors = pr.interop.state_dict(model, input_shape=(4,))
    >>> pr.interop.load_state_dict(other, tensors, input_shape=(4,))
    >>> bool((other.w == model.w).all())
    True
    """
    check_model(model)
    load_tensors_of(model, tensors, flattened(model, input_shape))


def load_tensors_of(model: Model, tensors: Mapping[str, Any], order: Flattened) -> None:
    """`load_state_dict`, of tensors as `tensors_of` gives them."""
    given = _plain_names(tensors)
    own = {segment.name: segment.view(model.w) for segment in model.segments} | model.buffers
    _refuse_prefix(given, own)
    problems = [
        f"{name}: missing, the model has {pytorch_shape(own[name])}" for name in own if name not in given
    ]
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
        view[...] = own_layout(given[name], order.get(name))


def pytorch_layout(tensor: npt.NDArray[Any], channels: int | None) -> npt.NDArray[Any]:
    """A copy of our tensor with PyTorch's axes; its inputs those of a flattened image of so many channels."""
    return _permuted(to_pytorch(tensor, channels), TO_PYTORCH)


def own_layout(tensor: npt.NDArray[Any], channels: int | None) -> npt.NDArray[Any]:
    """The inverse of `pytorch_layout`."""
    return from_pytorch(_permuted(tensor, FROM_PYTORCH), channels)


def _permuted(tensor: npt.NDArray[Any], order: dict[int, tuple[int, ...]]) -> npt.NDArray[Any]:
    return np.array(tensor.transpose(order.get(tensor.ndim, range(tensor.ndim))), order="C")


def pytorch_shape(view: Array) -> tuple[int, ...]:
    """The shape of our tensor with PyTorch's axes."""
    order = TO_PYTORCH.get(view.ndim, range(view.ndim))
    return tuple(view.shape[axis] for axis in order)


def _plain_names(tensors: Any) -> dict[str, npt.NDArray[Any]]:
    """The tensors as arrays, by their names without wrappers; ValueError when two have the same."""
    if not isinstance(tensors, Mapping):
        hint = ": give its state_dict()" if hasattr(tensors, "state_dict") else ""
        raise ValueError(f"tensors must be arrays by name; got {type(tensors).__name__}{hint}")
    given: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise ValueError(f"names of tensors must be words; got {name!r}")
        *parts, last = name.split(".")
        plain = ".".join([*(part for part in parts if part not in WRAPPERS), last])
        if plain in given:
            raise ValueError(f"{plain} is there twice, with and without {' or '.join(WRAPPERS)} in its name")
        if last != IGNORED:
            given[plain] = _array(name, tensor)
    return given


def _array(name: str, tensor: Any) -> npt.NDArray[Any]:
    """An array as it is, a PyTorch tensor as an array; ValueError for anything else.

    PyTorch is not imported: what has its methods is one of its tensors.
    """
    if isinstance(tensor, np.ndarray):
        return tensor
    if not (hasattr(tensor, "detach") and hasattr(tensor, "numpy")):
        raise ValueError(
            f"{name}: a {type(tensor).__name__} given; arrays and PyTorch's tensors are accepted"
        )
    try:
        there = tensor.detach().cpu()
        # NumPy has no bfloat16 and no 8-bit floats: they become float32, exactly.
        narrow = there.is_floating_point() and there.element_size() < 4
        return np.asarray((there.float() if narrow else there).numpy())
    except (RuntimeError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{name}: a tensor that cannot be read as an array: {reason}") from None


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
    shape = pytorch_shape(view)
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
