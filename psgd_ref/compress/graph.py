"""How the layers of a network are connected: what analytic methods must know about each one's neighbours."""

from dataclasses import dataclass

from psgd_ref.compress.walk import Walk
from psgd_ref.nn import (
    AvgPool2d,
    BatchNorm,
    Dropout,
    GlobalAvgPool,
    Layer,
    LeakyReLU,
    MaxPool2d,
    Model,
    ReLU,
    Residual,
    Weighted,
)

# Layers with h(cx) = c h(x) for c > 0 that keep channels apart.
HOMOGENEOUS = (ReLU, LeakyReLU, MaxPool2d, AvgPool2d, GlobalAvgPool)


@dataclass(eq=False)
class WeightLayer:
    """A layer with a weight, and its neighbours.

    Attributes
    ----------
    norm
        The batch norm that takes its output directly, or None.
    previous
        The layer whose output is this one's only input and goes nowhere else, through batch norm, dropout,
        ReLU (leaky or not) and pooling alone; None where there is none.
    rectified
        Whether a ReLU or a pooling follows the layer (and its batch norm).
    """

    name: str
    layer: Weighted
    previous: "WeightLayer | None"
    norm: BatchNorm | None = None
    rectified: bool = False


def weight_layers(model: Model) -> list[WeightLayer]:
    """All layers with a weight, in forward order."""
    walk = _WeightLayers()
    walk.through(model.net, "", None)
    return walk.found


class _WeightLayers(Walk[WeightLayer | None]):
    """What is known of a signal is the layer that it comes from, if nothing else is done to it."""

    def __init__(self) -> None:
        self.found: list[WeightLayer] = []

    def leaf(self, layer: Layer, name: str, known: WeightLayer | None) -> WeightLayer | None:
        if isinstance(layer, Dropout):
            return known
        if isinstance(layer, Weighted):
            self.found.append(WeightLayer(name, layer, known))
            return self.found[-1]
        if known is None:
            return None
        if isinstance(layer, BatchNorm) and known.norm is None and not known.rectified:
            known.norm, known.rectified = layer, layer.relu
            return known
        if isinstance(layer, HOMOGENEOUS):
            known.rectified = True
            return known
        return None

    def fork(self, known: WeightLayer | None) -> None:
        """A signal that goes two ways must not be scaled for one of them."""
        return None

    def join(self, block: Residual, main: WeightLayer | None, side: WeightLayer | None) -> None:
        if main is not None and main.norm is None and not main.rectified:
            main.norm, main.rectified = block.norm, True
