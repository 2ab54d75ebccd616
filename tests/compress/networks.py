"""Small networks whose batch norms have seen data, for tests of analytic methods."""

import numpy as np

from psgd_ref.compress import MinMaxGrid, QuantizedModel
from psgd_ref.models import convnet, mlp, resnet, vgg
from psgd_ref.nn import BatchNorm
from psgd_ref.nn.parameters import named_layers

SHAPES = {"convnet": (8, 8, 8, 1), "vgg": (4, 32, 32, 3), "resnet": (6, 8, 8, 3), "mlp": (9, 64)}


def trained_like(name, seed=0, dtype=np.float64):
    """A network with uneven γ and β, and running statistics of its own inputs; and images for it."""
    build = {
        "convnet": lambda: convnet(widths=(4, 6, 5), seed=seed, dtype=dtype),
        "vgg": lambda: vgg(11, width=2, seed=seed, dtype=dtype),
        "resnet": lambda: resnet(8, width=4, seed=seed, dtype=dtype),
        "mlp": lambda: mlp(seed=seed, dtype=dtype),
    }
    model, rng = build[name](), np.random.default_rng(seed)
    for part in model.segments:
        if part.role == "bias":
            part.view(model.w)[...] = rng.normal(0, 0.3, part.shape)
    for _, layer in named_layers(model.net):
        if isinstance(layer, BatchNorm):
            layer.weight.value[...] = rng.uniform(0.3, 1.5, layer.weight.shape) * rng.choice(
                [-1, 1], layer.weight.shape
            )
            layer.bias.value[...] = rng.normal(0, 0.7, layer.bias.shape)
    images = rng.normal(size=SHAPES[name]).astype(dtype)
    for _ in range(40):
        model.forward(images, training=True)
    return model, images


def weights_only(model, bits):
    """The model with rounded weights and everything else as it is."""
    names = [part.name for part in model.segments if part.role == "weight"]
    return QuantizedModel(model, {name: MinMaxGrid(bits) for name in names})
