"""A training step in independent stages, so that processes compile different kernels.

Compilation takes longer than anything else in a short run. Workers that begin with the same training step
would need the same kernel at the same time, and all but one would wait for it.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model, Sequential
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.nn.layer import Layer
from psgd_ref.nn.parameters import named_parameters
from psgd_ref.training.optimizers.optimizer import Optimizer


def stages(model: Model) -> list[str]:
    """Names of the stages of a training step: loss and optimiser, and the first layer of each kind.

    Layers of one type whose parameters have the same shapes are of a kind. A block of layers is one layer.
    """
    kinds: dict[object, str] = {}
    for name, layer in _layers(model).items():
        shapes = tuple(parameter.shape for _, parameter in named_parameters(layer))
        kinds.setdefault((type(layer), shapes), name)
    return ["", *kinds.values()]


def rehearse(model: Model, optimizer: Optimizer, shape: tuple[int, ...], stage: str) -> None:
    """Do one of `stages`: a layer's forward and backward pass, or for "" the loss and the optimiser's step.

    The only use of it is the compiled kernels. Modifies the model.

    Parameters
    ----------
    shape
        Of an image, (H, W, C).
    """
    if stage == "":
        cross_entropy(np.zeros((2, 1), np.float32), np.zeros(2, np.intp))
        optimizer.update(model, optimizer.init(model))
        return
    # In float64 the oracles run, which need no compilation.
    x: Array = np.ones((2, *shape))
    for name, layer in _layers(model).items():
        if name == stage:
            y, cache = layer.forward(x.astype(np.float32), True)
            layer.backward(np.ones_like(y), cache)
            layer.forward(x.astype(np.float32), False)
            return
        x, _ = layer.forward(x, False)


def _layers(model: Model) -> dict[str, Layer]:
    return model.net.layers if isinstance(model.net, Sequential) else {"net": model.net}
