"""What reaches layers with a weight while a model runs: a way to look at it that leaves no trace."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from psgd_ref.compress.graph import WeightLayer
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Layer
from psgd_ref.nn.layer import Cache

Look = Callable[[Array], object]


@contextmanager
def watched_inputs(layers: Sequence[WeightLayer], looks: Sequence[Look]) -> Iterator[None]:
    """A context in which each layer's input is shown to its look, before any quantizer, which stays active.

    Parameters
    ----------
    layers, looks
        One look for each layer; it may keep the array, but not change it.
    """
    kept = [each.layer.input_quantizer for each in layers]
    try:
        for each, inner, look in zip(layers, kept, looks, strict=True):
            each.layer.input_quantizer = _Watch(inner, look)
        yield
    finally:
        for each, inner in zip(layers, kept, strict=True):
            each.layer.input_quantizer = inner


class _Watch(Layer):
    """Shows x and passes it on, through the quantizer that it stands in for."""

    def __init__(self, inner: Layer | None, look: Look) -> None:
        self.inner, self.look = inner, look

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        self.look(x)
        return (x, None) if self.inner is None else self.inner.forward(x, training)
