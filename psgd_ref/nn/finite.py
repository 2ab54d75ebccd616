"""Where in a network the first number arises that is not finite."""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.nn.containers import Sequential
from psgd_ref.nn.layer import Layer
from psgd_ref.nn.model import Model
from psgd_ref.nn.parameters import named_layers


class NotFiniteError(ValueError):
    """A network's output holds NaN or infinity; the message names the layer where that begins."""


def check_logits(model: Model, images: Array, logits: Array) -> None:
    """Raise NotFiniteError, which names the first layer to blame, unless logits (N, K) of the images are finite."""
    if not np.isfinite(logits).all():
        raise NotFiniteError(f"the model's output is not finite: {_origin(model, images)}")


def _origin(model: Model, images: Array) -> str:
    for prefix, layer in named_layers(model.net):
        for name, parameter in layer.parameters().items():
            if not np.isfinite(parameter.value).all():
                return f"{prefix}.{name} is not"
        for name, buffer in layer.buffers().items():
            if not np.isfinite(buffer).all():
                return f"{prefix}.{name} is not"
            if name == "running_var" and (buffer < 0).any():
                return f"{prefix}.{name} is negative"
    if not np.isfinite(images).all():
        return "the images are not"
    return f"the output of {_first(model.net, '', np.asarray(images, model.w.dtype))[1]} is the first that is not"


def _first(layer: Layer, prefix: str, x: Array) -> tuple[Array, str | None]:
    """The layer's output, and the name of the first layer within it whose output is not finite."""
    if isinstance(layer, Sequential):
        for name, child in layer.layers.items():
            x, found = _first(child, f"{prefix}.{name}" if prefix else name, x)
            if found:
                return x, found
        return x, None
    y = layer.forward(x, False)[0]
    return y, None if np.isfinite(y).all() else prefix
