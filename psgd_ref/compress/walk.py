"""One walk over the layers of a network: what is known of a signal, carried along in forward order."""

from typing import Generic, TypeVar

from psgd_ref.nn import Layer, Residual, Sequential
from psgd_ref.nn.parameters import dotted

Known = TypeVar("Known")


class Walk(Generic[Known]):
    """What is known of the signal before each layer, and after it.

    A subclass says what a layer makes of it (`leaf`), what becomes of it where it goes two ways (`fork`) and
    where the two meet (`join`).
    """

    def leaf(self, layer: Layer, name: str, known: Known) -> Known:
        """What is known after a layer that is not a container."""
        raise NotImplementedError

    def fork(self, known: Known) -> Known:
        """What is known of either copy of a signal that enters a residual block."""
        return known

    def join(self, block: Residual, main: Known, side: Known) -> Known:
        """What is known after a residual block, whose batch norm adds the two ways."""
        raise NotImplementedError

    def through(self, layer: Layer, name: str, known: Known) -> Known:
        """Walk through a layer and all below it; returns what is known after it."""
        if isinstance(layer, Sequential):
            for child, inner in layer.layers.items():
                known = self.through(inner, dotted(name, child), known)
            return known
        if isinstance(layer, Residual):
            side = self.fork(known)
            main = self.through(layer.body, name, side)
            if layer.shortcut is not None:
                side = self.through(layer.shortcut, dotted(name, layer.shortcut_name), side)
            return self.join(layer, main, side)
        return self.leaf(layer, name, known)
