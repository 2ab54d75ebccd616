"""How many multiplications each layer does for one image."""

import numpy as np

from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.watch import watched_inputs
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model


def multiplications(model: Model, image: Array) -> dict[str, int]:
    """Multiply-adds of every layer with a weight, by name, for one image (H, W, C) or one row (I,)."""
    check_model(model)
    found = weight_layers(model)
    shapes: list[tuple[int, ...]] = []
    with watched_inputs(found, [lambda x: shapes.append(x.shape)] * len(found)):
        model.forward(image[None])
    counts = {}
    for each, shape in zip(found, shapes, strict=True):
        weight = each.layer.weight.value
        y = each.layer.product(np.zeros(shape, weight.dtype), weight, None)
        counts[each.name] = y.size * weight.size // weight.shape[-1]
    return counts
