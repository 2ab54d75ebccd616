"""A network's structure as plain data, and back: kinds of layers, their sizes and names, no code."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from psgd_ref.compress.post_training.activations import UnsignedRounding
from psgd_ref.core.arguments import fraction, real_number, whole_number
from psgd_ref.nn import (
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
    Weighted,
)
from psgd_ref.nn.containers import SHORTCUT
from psgd_ref.nn.parameters import Parameter, dotted, zeros

# The shape of every tensor in a file, by name: what a structure is checked against before it takes memory.
Shapes = Mapping[str, tuple[int, ...]]
Description = dict[str, Any]
SIZES = {"inputs", "outputs", "features"}


def describe(layer: Layer, name: str = "") -> Description:
    """The layer and all below it as values that JSON can hold, {"kind": …, its options …}.

    Raises
    ------
    ValueError
        Names the layer whose kind is not known here, or that holds a quantizer or another
        parametrization.
    """
    kind = type(layer).__name__
    if type(layer) not in (known for known, _ in _KINDS.values()):
        accepted = ", ".join(_KINDS)
        raise ValueError(
            f"layer {name or 'net'} is a {kind}, which a model file cannot hold; it holds {accepted}"
        )
    return {"kind": kind, **_KINDS[kind][1](layer, name)}


def build(description: Any, shapes: Shapes, name: str = "") -> Layer:
    """The layer that `describe` described, with no values yet.

    Raises
    ------
    ValueError
        For what is no such description, and for sizes that the tensors do not have.
    """
    shown = description.get("kind") if isinstance(description, dict) else description
    if not isinstance(description, dict) or not isinstance(shown, str) or shown not in _KINDS:
        raise ValueError(f"layer {name or 'net'} must be one of {', '.join(_KINDS)}; got {shown!r}")
    options = {key: value for key, value in description.items() if key != "kind"}
    for key in SIZES & set(options):
        whole_number(f"{key} of layer {name}", options[key], 1)
    try:
        return _BUILDERS[description["kind"]](options, shapes, name)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"layer {name or 'net'} has other options than a {description['kind']}: {error}"
        ) from None


def _sequential(layer: Sequential, name: str) -> Description:
    return {"layers": _children(layer.layers, name)}


def _residual(layer: Residual, name: str) -> Description:
    shortcut, under = layer.shortcut, dotted(name, layer.shortcut_name)
    return {
        "body": _children(layer.body.layers, name),
        "norm": [layer.norm_name, describe(layer.norm, dotted(name, layer.norm_name))],
        "shortcut": None if shortcut is None else _children(shortcut.layers, under),
        **({} if layer.shortcut_name == SHORTCUT else {"shortcut_name": layer.shortcut_name}),
    }


def _children(layers: Mapping[str, Layer], name: str) -> dict[str, Description]:
    return {child: describe(layer, dotted(name, child)) for child, layer in layers.items()}


def _conv(layer: Conv2d, name: str) -> Description:
    held = _held(layer, name)
    padding: Any = "same" if any(layer.surplus) else layer.padding
    window = {"size": layer.size, "stride": layer.stride, "padding": padding}
    # A bias that a batch norm was folded into has the role of the norm's.
    bias = layer.bias and layer.bias.role
    groups = {"groups": layer.groups} if layer.groups > 1 else {}
    return {
        "inputs": layer.inputs,
        "outputs": layer.weight.shape[-1],
        **window,
        "bias": bias,
        **groups,
        **held,
    }


def _linear(layer: Linear, name: str) -> Description:
    held = _held(layer, name)
    role = layer.bias and layer.bias.role
    bias = {} if role == "bias" else {"bias": role}
    return {"inputs": layer.weight.shape[0], "outputs": layer.weight.shape[1], **bias, **held}


def _batch_norm(layer: BatchNorm, name: str) -> Description:
    momentum = {} if layer.momentum == BatchNorm.momentum else {"momentum": layer.momentum}
    return {"features": layer.weight.shape[0], "relu": layer.relu, "eps": layer.eps, **momentum}


def _layer_norm(layer: LayerNorm, name: str) -> Description:
    return {"shape": layer.shape, "eps": layer.eps}


def _dropout(layer: Dropout, name: str) -> Description:
    return {"p": layer.p, "seed": layer.seed}


def _leaky_relu(layer: LeakyReLU, name: str) -> Description:
    return {"negative_slope": layer.negative_slope}


def _gelu(layer: GELU, name: str) -> Description:
    return {"approximate": layer.approximate}


def _pool(layer: Any, name: str) -> Description:
    return {"size": layer.size, "stride": layer.stride, "padding": layer.padding}


def _nothing(layer: Layer, name: str) -> Description:
    return {}


def _held(layer: Weighted, name: str) -> Description:
    """How the layer's input is rounded, {} where it is not; ValueError for what else it holds."""
    rounding = layer.input_quantizer
    others = [type(child) for child in layer.children().values() if type(child) is not UnsignedRounding]
    if others:
        held = ", ".join(kind.__name__ for kind in others)
        raise ValueError(
            f"layer {name} holds {held}, which a model file cannot hold; `remove_parametrizations` and "
            "`remove_fake_quantizers` give models without"
        )
    if not isinstance(rounding, UnsignedRounding):
        return {}
    return {"input": {"bits": rounding.bits, "scale": rounding.scale}}


_KINDS: dict[str, tuple[type[Layer], Callable[[Any, str], Description]]] = {
    "Sequential": (Sequential, _sequential),
    "Residual": (Residual, _residual),
    "Conv2d": (Conv2d, _conv),
    "Linear": (Linear, _linear),
    "BatchNorm": (BatchNorm, _batch_norm),
    "MaxPool2d": (MaxPool2d, _pool),
    "AvgPool2d": (AvgPool2d, _pool),
    "GlobalAvgPool": (GlobalAvgPool, _nothing),
    "Flatten": (Flatten, _nothing),
    "LayerNorm": (LayerNorm, _layer_norm),
    "Dropout": (Dropout, _dropout),
    "LeakyReLU": (LeakyReLU, _leaky_relu),
    "GELU": (GELU, _gelu),
    **{kind.__name__: (kind, _nothing) for kind in (ReLU, ReLU6, SiLU, Sigmoid, Tanh)},
}


def _build_sequential(options: Description, shapes: Shapes, name: str) -> Layer:
    return Sequential(_build_children(**options, shapes=shapes, name=name))


def _build_residual(options: Description, shapes: Shapes, name: str) -> Layer:
    body = _build_children(options.pop("body"), shapes, name)
    norm_name, described = options.pop("norm")
    norm = build(described, shapes, dotted(name, str(norm_name)))
    if not isinstance(norm, BatchNorm):
        raise ValueError(f"layer {dotted(name, str(norm_name))} must be a BatchNorm")
    shortcut, shortcut_name = options.pop("shortcut"), options.get("shortcut_name", SHORTCUT)
    if not isinstance(shortcut_name, str):
        raise ValueError(f"shortcut_name of layer {name} must be a word; got {shortcut_name!r}")
    side = None if shortcut is None else _build_children(shortcut, shapes, dotted(name, shortcut_name))
    return Residual(body, (str(norm_name), norm), side, **options)


def _build_children(layers: Any, shapes: Shapes, name: str) -> dict[str, Layer]:
    if not isinstance(layers, dict):
        raise TypeError(f"layers by name are needed; got {layers!r}")
    return {child: build(layer, shapes, dotted(name, child)) for child, layer in layers.items()}


def _build_conv(options: Description, shapes: Shapes, name: str) -> Layer:
    return _biased(Conv2d, options, options.pop("bias"), name)


def _build_linear(options: Description, shapes: Shapes, name: str) -> Layer:
    return _biased(Linear, options, options.pop("bias", "bias"), name)


def _biased(kind: Any, options: Description, role: Any, name: str) -> Layer:
    if role not in (None, "bias", "norm"):
        raise ValueError(f"bias of layer {name} must be null, bias or norm; got {role!r}")
    rounding = options.pop("input", None)
    layer: Weighted = kind(**options, bias=role is not None)
    if rounding is not None:
        layer.input_quantizer = _rounding(rounding, name)
    if role == "norm":
        layer.bias = Parameter((layer.weight.shape[-1],), "norm", zeros)
    return layer


def _rounding(described: Any, name: str) -> UnsignedRounding:
    if not isinstance(described, dict) or set(described) != {"bits", "scale"}:
        raise ValueError(f"input of layer {name} must hold bits and scale; got {described!r}")
    rounding = UnsignedRounding(described["bits"], 1.0)
    rounding.scale = real_number(f"scale of the input of layer {name}", described["scale"], positive=True)
    return rounding


def _build_batch_norm(options: Description, shapes: Shapes, name: str) -> Layer:
    eps, features = _eps(options, name), options["features"]
    momentum = fraction(f"momentum of layer {name}", options.pop("momentum", BatchNorm.momentum))
    # Its statistics take memory at once.
    if shapes.get(dotted(name, "weight")) != (features,):
        raise ValueError(f"layer {name} has {features!r} features, its tensors have another number")
    if not isinstance(options.get("relu"), bool):
        raise ValueError(f"relu of layer {name} must be true or false; got {options.get('relu')!r}")
    layer = BatchNorm(**options)
    layer.eps, layer.momentum = eps, momentum
    return layer


def _build_layer_norm(options: Description, shapes: Shapes, name: str) -> Layer:
    eps = _eps(options, name)
    layer = LayerNorm(**options)
    layer.eps = eps
    return layer


def _eps(options: Description, name: str) -> float:
    eps = options.pop("eps")
    if not isinstance(eps, float) or not 0 < eps < math.inf:
        raise ValueError(f"eps of layer {name} must be a finite number > 0; got {eps!r}")
    return eps


def _plain(kind: type[Any]) -> Callable[[Description, Shapes, str], Layer]:
    return lambda options, shapes, name: kind(**options)


_BUILDERS: dict[str, Callable[[Description, Shapes, str], Layer]] = {
    **{kind: _plain(layer) for kind, (layer, _) in _KINDS.items()},
    "Sequential": _build_sequential,
    "Residual": _build_residual,
    "Conv2d": _build_conv,
    "Linear": _build_linear,
    "BatchNorm": _build_batch_norm,
    "LayerNorm": _build_layer_norm,
}
