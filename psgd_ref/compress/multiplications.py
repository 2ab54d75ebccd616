"""How many multiplications each layer makes for one image."""

import numpy as np

from psgd_ref.compress.graph import weight_layers
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Layer, Model
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.model import check_model


def multiplications(model: Model, image: Array) -> dict[str, int]:
    """Multiply-adds of every layer with a weight, by name, for one image (H, W, C) or one row (I,)."""
    check_model(model)
    found = weight_layers(model)
    watches = {each.name: _Watch(each.layer.input_quantizer) for each in found}
    try:
        for each in found:
            each.layer.input_quantizer = watches[each.name]
        model.forward(image[None])
    finally:
        for each in found:
            each.layer.input_quantizer = watches[each.name].inner
    counts = {}
    for each in found:
        weight = each.layer.weight.value
        y = each.layer.product(np.zeros(watches[each.name].shape, weight.dtype), weight, None)
        counts[each.name] = y.size * weight.size // weight.shape[-1]
    return counts


class _Watch(Layer):
    """Notes the shape of what passes (through the quantizer it stands in for)."""

    def __init__(self, inner: Layer | None) -> None:
        self.inner = inner
        self.shape: tuple[int, ...] = ()

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        self.shape = x.shape
        return (x, None) if self.inner is None else self.inner.forward(x, training)
