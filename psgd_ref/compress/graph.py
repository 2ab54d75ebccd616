"""How the layers of a network hang together: what analytic methods must know about each one's neighbours."""

from dataclasses import dataclass

from psgd_ref.nn import (
    AvgPool2d,
    BatchNorm,
    GlobalAvgPool,
    Layer,
    MaxPool2d,
    Model,
    ReLU,
    Residual,
    Sequential,
    Weighted,
)

# Layers with h(cx) = c h(x) for c > 0 that keep channels apart.
HOMOGENEOUS = (ReLU, MaxPool2d, AvgPool2d, GlobalAvgPool)


@dataclass(eq=False)
class Link:
    """A layer with a weight, and its neighbours.

    norm     : the batch norm that takes its output directly, or None
    previous : the link whose output is this one's only input and goes nowhere else, through batch norm,
               ReLU and pooling alone; None where there is none
    rectified: whether a ReLU or a pooling stands behind the layer (and its batch norm)
    """

    name: str
    layer: Weighted
    previous: "Link | None"
    norm: BatchNorm | None = None
    rectified: bool = False


def links(model: Model) -> list[Link]:
    """All layers with a weight, in forward order."""
    found: list[Link] = []
    _walk(model.net, "", None, found)
    return found


def _walk(layer: Layer, name: str, previous: Link | None, found: list[Link]) -> Link | None:
    """Collect the links below a layer; returns the one whose output leaves it, if that is all it does."""
    if isinstance(layer, Sequential):
        for child, inner in layer.layers.items():
            previous = _walk(inner, below(name, child), previous, found)
        return previous
    if isinstance(layer, Residual):
        last = _walk(layer.body, name, None, found)
        if last is not None and last.norm is None and not last.rectified:
            last.norm, last.rectified = layer.norm, True
        if layer.shortcut is not None:
            _walk(layer.shortcut, below(name, "downsample"), None, found)
        return None
    if isinstance(layer, Weighted):
        found.append(Link(name, layer, previous))
        return found[-1]
    if previous is None:
        return None
    if isinstance(layer, BatchNorm) and previous.norm is None and not previous.rectified:
        previous.norm, previous.rectified = layer, layer.relu
        return previous
    if isinstance(layer, HOMOGENEOUS):
        previous.rectified = True
        return previous
    return None


def below(prefix: str, name: str) -> str:
    """The dotted name of a layer inside another."""
    return f"{prefix}.{name}" if prefix else name
