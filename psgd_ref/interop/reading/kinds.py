"""Modules and functions of PyTorch as layers: what each is here, and which of their options are known."""

from collections.abc import Callable, Mapping
from typing import Any

from psgd_ref.nn import (
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    GlobalAvgPool,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Tanh,
)

Shape = tuple[int, ...]


class UnreadableError(ValueError):
    """What has no counterpart here; the message goes on from the module's name."""


def layer_of(module: Any, given: Shape, channels_last: bool) -> Layer:
    """The layer that does what a module does to tensors of a shape.

    Parameters
    ----------
    module
        Of `torch.nn`, that is no container.
    given
        The shape of its input, (N, C, H, W) or (N, I).
    channels_last
        Whether the module's code has permuted images to (N, H, W, C).

    Raises
    ------
    UnreadableError
        For another kind of module, and for options that layers here do not have.
    """
    import torch

    kind = type(module).__name__
    if kind not in _KINDS or type(module) is not getattr(torch.nn, kind):
        raise UnreadableError(f"is a {kind}; what can be read is {', '.join(_KINDS)}, Flatten and Identity")
    build, axes, anywhere = _KINDS[kind]
    if len(given) not in axes or (channels_last and not anywhere):
        order = ", (N, H, W, C)," if channels_last else ""
        raise UnreadableError(f"is a {kind} of tensors {given}{order} which cannot be read")
    return build(module, given, channels_last)


def _plain(module: Any, **options: Any) -> None:
    """Raise UnreadableError unless the module's options are these."""
    for name, usual in options.items():
        value = getattr(module, name)
        if value != usual:
            kind = type(module).__name__
            raise UnreadableError(f"is a {kind} with {name}={value!r}; {name}={usual!r} can be read")


def _conv(module: Any, given: Shape, channels_last: bool) -> Layer:
    _plain(module, padding_mode="zeros", dilation=(1, 1))
    padding = 0 if module.padding == "valid" else module.padding
    window = (module.kernel_size, module.stride, padding, module.bias is not None, module.groups)
    return Conv2d(module.in_channels, module.out_channels, *window)


def _linear(module: Any, given: Shape, channels_last: bool) -> Layer:
    return Linear(module.in_features, module.out_features, module.bias is not None)


def _batch_norm(module: Any, given: Shape, channels_last: bool) -> Layer:
    _plain(module, affine=True, track_running_stats=True)
    if module.momentum is None:
        raise UnreadableError("is a batch norm with momentum=None; a number can be read")
    layer = BatchNorm(module.num_features)
    layer.eps, layer.momentum = float(module.eps), float(module.momentum)
    return layer


def _layer_norm(module: Any, given: Shape, channels_last: bool) -> Layer:
    _plain(module, elementwise_affine=True)
    if module.bias is None:
        raise UnreadableError("is a LayerNorm with bias=False; one with a bias can be read")
    shape = tuple(module.normalized_shape)
    if len(given) == 4 and not channels_last:
        if shape != given[1:]:
            raise UnreadableError(f"is a LayerNorm over {shape} of {given}; over (C, H, W) it can be read")
        shape = (*shape[1:], shape[0])
    elif len(shape) != 1:
        raise UnreadableError(f"is a LayerNorm over {shape}; over the channels alone it can be read here")
    layer = LayerNorm(shape)
    layer.eps = float(module.eps)
    return layer


def _max_pool(module: Any, given: Shape, channels_last: bool) -> Layer:
    _plain(module, ceil_mode=False, return_indices=False)
    if module.dilation not in (1, (1, 1)):
        raise UnreadableError(f"is a MaxPool2d with dilation={module.dilation!r}; dilation=1 can be read")
    return MaxPool2d(module.kernel_size, module.stride, module.padding)


def _avg_pool(module: Any, given: Shape, channels_last: bool) -> Layer:
    _plain(module, ceil_mode=False, divisor_override=None)
    if module.padding not in (0, (0, 0)):
        _plain(module, count_include_pad=True)
    return AvgPool2d(module.kernel_size, module.stride, module.padding)


def _adaptive(module: Any, given: Shape, channels_last: bool) -> Layer:
    size = module.output_size if isinstance(module.output_size, tuple) else (module.output_size,) * 2
    wanted = [full if length is None else length for length, full in zip(size, given[2:], strict=True)]
    if any(full % length for length, full in zip(wanted, given[2:], strict=True)):
        raise UnreadableError(
            f"is an AdaptiveAvgPool2d from {given[2:]} to {size}; equal windows can be read"
        )
    if wanted == [1, 1]:
        return GlobalAvgPool()
    return AvgPool2d(tuple(full // length for length, full in zip(wanted, given[2:], strict=True)))


# The layer, the numbers of axes that it takes, and whether it cares not where the channels are.
_Build = Callable[[Any, Shape, bool], Layer]
_KINDS: dict[str, tuple[_Build, tuple[int, ...], bool]] = {
    "Conv2d": (_conv, (4,), False),
    "Linear": (_linear, (2,), False),
    "BatchNorm2d": (_batch_norm, (4,), False),
    "BatchNorm1d": (_batch_norm, (2,), False),
    "LayerNorm": (_layer_norm, (2, 4), True),
    "MaxPool2d": (_max_pool, (4,), False),
    "AvgPool2d": (_avg_pool, (4,), False),
    "AdaptiveAvgPool2d": (_adaptive, (4,), False),
    "Dropout": (lambda module, given, last: Dropout(module.p), (2, 3, 4), True),
    "LeakyReLU": (lambda module, given, last: LeakyReLU(module.negative_slope), (2, 3, 4), True),
    "GELU": (lambda module, given, last: GELU(module.approximate), (2, 3, 4), True),
    "ReLU": (lambda module, given, last: ReLU(), (2, 3, 4), True),
    "ReLU6": (lambda module, given, last: ReLU6(), (2, 3, 4), True),
    "SiLU": (lambda module, given, last: SiLU(), (2, 3, 4), True),
    "Sigmoid": (lambda module, given, last: Sigmoid(), (2, 3, 4), True),
    "Tanh": (lambda module, given, last: Tanh(), (2, 3, 4), True),
}
# Functions and methods, by name, that do what a module does with the same options.
_MODULES = {
    **dict.fromkeys(("relu", "relu_"), "ReLU"),
    **dict.fromkeys(("sigmoid", "sigmoid_"), "Sigmoid"),
    **dict.fromkeys(("tanh", "tanh_"), "Tanh"),
    **dict.fromkeys(("leaky_relu", "leaky_relu_"), "LeakyReLU"),
    "relu6": "ReLU6",
    "gelu": "GELU",
    "silu": "SiLU",
    "dropout": "Dropout",
    "max_pool2d": "MaxPool2d",
    "avg_pool2d": "AvgPool2d",
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d",
}
# Which of their arguments come after the tensor, where the module has them in another order.
_ORDERS = {"max_pool2d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")}
_NO_OPTIONS = ("inplace", "training")


def module_of(function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The module that does what a function does, from the function's arguments after the tensor.

    Raises
    ------
    UnreadableError
        For a function that is none of these.
    """
    import torch

    if function not in _MODULES:
        hint = "; the loss takes logits, leave it out" if "softmax" in function else ""
        raise UnreadableError(f"is {function}(), which cannot be read{hint}")
    options = {name: value for name, value in kwargs.items() if name not in _NO_OPTIONS}
    if function == "dropout":
        args = args[:1]
    if function in _ORDERS:
        options |= dict(zip(_ORDERS[function], args, strict=False))
        args = ()
    try:
        return getattr(torch.nn, _MODULES[function])(*args, **options)
    except (TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"is {function}(), whose options cannot be read: {error}") from None
