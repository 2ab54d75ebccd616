"""A `torch.nn.Module` as a model."""

import copy
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array, whole_numbers
from psgd_ref.interop.flattened import flattened
from psgd_ref.interop.layout import load_tensors_of
from psgd_ref.interop.reading.graph import Reader
from psgd_ref.nn import Layer, Model, Sequential
from psgd_ref.nn.parameters import dotted, named_layers

# The logits of model and module, both in float64, agree to so much of the largest.
AGREEMENT = 1e-6


def from_torch(module: Any, input_shape: Any) -> Model:
    """A model with the layers and the weights of a `torch.nn.Module`, for images (N, H, W, C).

    The module is traced by `torch.fx`, so that functions (`F.relu`, `x.flatten(1)`, `x + y`) are read as
    well as modules. What is read: Conv2d (in groups, too), Linear, BatchNorm1d and 2d, LayerNorm, ReLU,
    ReLU6, LeakyReLU, GELU, SiLU, Sigmoid, Tanh, Dropout, MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, Flatten,
    the mean over height and width, and sums with a batch norm right before them (ResNet, MobileNet v2).
    Parameters keep PyTorch's names, so that `state_dict(model)` loads into the module; only residual blocks
    that are no module of their own get names from here.

    The model's logits are held against the module's, both in float64 and evaluation mode, before it is
    returned. It is independent of the module, which stays as it is.

    Parameters
    ----------
    module
        It takes one tensor and returns logits (N, K).
    input_shape
        Of one image as the model will take it, (H, W, C); of one row (I,).

    Returns
    -------
    Model
        In float64 where all parameters of the module are, else in float32.

    Raises
    ------
    ValueError
        Names every module and function that cannot be read; also for weights that are not finite, and for a
        module that cannot be traced or does not take such images.
    ImportError
        Without PyTorch.

    Examples
    --------
    >>> import torch  # doctest: +SKIP
    >>> from psgd_ref.interop import from_torch
    >>> net = torch.nn.Sequential(
    ...     torch.nn.Conv2d(1, 8, 3, padding="same"),
    ...     torch.nn.BatchNorm2d(8),
    ...     torch.nn.ReLU(),
    ...     torch.nn.Flatten(),
    ...     torch.nn.Linear(8 * 8 * 8, 10),
    ... )  # doctest: +SKIP
    >>> from_torch(net, input_shape=(8, 8, 1))  # doctest: +SKIP
    Model: 5,226 parameters, float32, inputs 8×8×1
    layer  kind                                   output  parameters
    0      Conv2d(1, 8, 3, padding=1, bias=True)  8×8×8   80
    1      BatchNorm(8, relu=True)                8×8×8   16
    3      Flatten()                              512
    4      Linear(512, 10)                        10      5,130
    """
    import torch

    module = _unwrapped(module)
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f"module must be a torch.nn.Module; got {type(module).__name__}")
    shape = whole_numbers("input_shape", input_shape, 1)
    if len(shape) not in (1, 3):
        raise ValueError(f"input_shape must be (H, W, C), or (I,) for rows; got {shape}")
    kinds = {parameter.dtype for parameter in module.parameters()}
    try:
        wide = copy.deepcopy(module).cpu().double().eval()
    except Exception as error:  # whatever the module's own code raises
        raise ValueError(f"the module cannot be copied: {_line(error)}") from None
    images = np.random.default_rng(0).standard_normal((3, *shape))
    logits = _logits(wide, images)
    reader = _traced(wide, images[:2])
    net = Sequential(reader.layers())
    model = Model(net, dtype=np.float64 if kinds == {torch.float64} else np.float32)
    model.input_shape = shape
    tensors = _tensors(net, reader)
    order = flattened(model)
    load_tensors_of(model, tensors, order)
    exact = Model(copy.deepcopy(net), dtype=np.float64)
    load_tensors_of(exact, tensors, order)
    _compare(exact.forward(images), logits)
    return model


def _unwrapped(module: Any) -> Any:
    """The module inside torch.compile and DataParallel."""
    while hasattr(module, "_orig_mod") or type(module).__name__ in (
        "DataParallel",
        "DistributedDataParallel",
    ):
        module = getattr(module, "_orig_mod", None) or module.module
    return module


def _channels_first(images: Array) -> Any:
    import torch

    moved = images.transpose(0, 3, 1, 2) if images.ndim == 4 else images
    return torch.from_numpy(np.ascontiguousarray(moved))


def _logits(module: Any, images: Array) -> Array:
    import torch

    batch = _channels_first(images)
    try:
        with torch.no_grad():
            logits = module(batch)
    except Exception as error:  # whatever the module's own code raises
        raise ValueError(
            f"the module does not take images of shape {tuple(batch.shape)}, which input_shape "
            f"{images.shape[1:]} gives: {_line(error)}"
        ) from None
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(images):
        given = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(f"the module must return logits (N, K); for {len(images)} images it returns {given}")
    return np.asarray(logits.numpy())


def _traced(module: Any, images: Array) -> Reader:
    import torch
    from torch import fx
    from torch.fx.passes.shape_prop import ShapeProp

    try:
        graph = fx.symbolic_trace(module)
        with torch.no_grad():
            ShapeProp(graph).propagate(_channels_first(images))
    except Exception as error:  # whatever the module's own code raises
        raise ValueError(f"the module cannot be traced by torch.fx: {_line(error)}") from None
    found = ((node, node.meta.get("tensor_meta")) for node in graph.graph.nodes)
    shapes = {node: tuple(meta.shape) for node, meta in found if hasattr(meta, "shape")}
    return Reader(graph.graph, dict(graph.named_modules()), shapes)


def _tensors(net: Layer, reader: Reader) -> dict[str, Any]:
    """The modules' parameters and statistics by our names."""
    tensors = {}
    for prefix, layer in named_layers(net):
        for name in (*layer.parameters(), *layer.buffers()):
            tensors[dotted(prefix, name)] = getattr(reader.sources[layer], name)
    return tensors


def _compare(ours: Array, theirs: Array) -> None:
    if not np.isfinite(theirs).all():
        raise ValueError("the module's own logits are not finite")
    error = float(np.abs(ours - theirs).max(initial=0)) if ours.shape == theirs.shape else np.inf
    if not error <= AGREEMENT * max(1.0, float(np.abs(theirs).max(initial=0))):
        raise ValueError(
            f"what was read gives other logits than the module, by up to {error:.3g}: it does something that "
            "its graph does not show, such as a hook, or code that depends on the number of images"
        )


def _line(error: BaseException) -> str:
    """The error in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
