"""Where in a network numbers first cease to be finite."""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.nn.containers import Sequential
from psgd_ref.nn.layer import Layer
from psgd_ref.nn.model import Model
from psgd_ref.nn.parameters import named_layers


class NotFiniteError(ValueError):
    """A network's output holds NaN or infinity; the message names the layer where that begins."""


def check_numbers(model: Model) -> None:
    """Raise NotFiniteError for a parameter or statistic that is not finite, or a negative variance."""
    for prefix, layer in named_layers(model.net):
        held = {name: parameter.value for name, parameter in layer.parameters().items()} | layer.buffers()
        for name, values in held.items():
            if not np.isfinite(values).all():
                raise NotFiniteError(f"the model is not finite: {prefix}.{name} holds NaN or infinity")
            if name == "running_var" and (values < 0).any():
                raise NotFiniteError(
                    f"the model has a negative variance: {prefix}.{name}, {values.min():.3g}"
                )


def check_logits(model: Model, images: Array, logits: Array) -> None:
    """Raise NotFiniteError, which names the first layer to blame, unless the images' logits are finite."""
    if not np.isfinite(logits).all():
        if not np.isfinite(images).all():
            raise NotFiniteError("the images hold NaN or infinity")
        layer = _first(model.net, "", np.asarray(images, model.w.dtype))[1]
        raise NotFiniteError(
            f"the model's output is not finite; the output of {layer} is the first that is not"
        )


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
