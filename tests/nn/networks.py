"""Networks of the layers that the ready networks lack."""

import numpy as np

from psgd_ref.nn import (
    GELU,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    LayerNorm,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Model,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)


def pools(dtype=np.float64):
    """Biases, overlapping windows with padding, a bare ReLU."""
    layers = {
        "conv1": Conv2d(2, 3, (3, 2), stride=(2, 1), padding=1, bias=True),
        "bn1": BatchNorm(3),
        "relu1": ReLU(),
        "max": MaxPool2d(3, 2, 1),
        "avg": AvgPool2d(2, 1, 1),
        "flatten": Flatten(),
        "fc": Linear(3 * 3 * 5, 4),
    }
    return Model(Sequential(layers), 0, dtype)


def modern(dtype=np.float64):
    """Groups, windows that keep the size, norms over channels and over images, smooth activations, dropout.

    For images (8, 7, 2) and four classes.
    """
    block = {"depthwise": Conv2d(6, 6, 3, padding="same", groups=6), "point": Conv2d(6, 6, 1)}
    layers = [
        *(Conv2d(2, 6, (4, 3), padding="same", bias=True), LayerNorm(6), GELU()),
        Residual(block, ("norm", BatchNorm(6)), {"conv": Conv2d(6, 6, 1, groups=2)}, "skip"),
        *(SiLU(), Dropout(0.3), Conv2d(6, 4, 3, stride=2, padding=1, groups=2), LayerNorm((4, 4, 4))),
        *(GELU("tanh"), AvgPool2d(2), Flatten(), Tanh(), Linear(16, 8, bias=False), LayerNorm(8)),
        *(Sigmoid(), Dropout(0.2), Linear(8, 6), LeakyReLU(0.1), ReLU6(), Linear(6, 4)),
    ]
    return Model(Sequential(layers), 0, dtype)
