"""Layers made of layers: in sequence, and with a shortcut around them."""

from collections.abc import Iterable, Mapping
from typing import Any

from psgd_ref.core.arguments import Array
from psgd_ref.nn.layer import Cache, Layer, Shape
from psgd_ref.nn.layers.batch_norm import BatchNorm, LinearisedBatchNorm
from psgd_ref.nn.layers.conv import Conv2d
from psgd_ref.nn.linearised import Linearised, Views
from psgd_ref.nn.remade import Remade
from psgd_ref.nn.weighted import Weighted

# What the layers of a shortcut are called in PyTorch and in the official PSGD code.
SHORTCUT = "downsample"


class Sequential(Layer):
    """Layers, each applied to the output of the one before.

    Parameters
    ----------
    layers
        By name; or a list of them, whose names are then "0", "1", … as in PyTorch.

    Examples
    --------
    >>> from psgd_ref.nn import Linear, ReLU, Sequential
    >>> Sequential([Linear(4, 8), ReLU(), Linear(8, 2)])
    Sequential(0=Linear(4, 8), 1=ReLU(), 2=Linear(8, 2))
    """

    def __init__(self, layers: Mapping[str, Layer] | Iterable[Layer]) -> None:
        self.layers = _named(layers)

    def children(self) -> dict[str, Layer]:
        return self.layers

    def output_shape(self, shape: Shape | None) -> Shape | None:
        for layer in self.layers.values():
            shape = layer.output_shape(shape)
        return shape

    def linearised(self, training: bool) -> Linearised:
        return _LinearisedSequential(self, training)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(f'{name}={layer!r}' for name, layer in self.layers.items())})"

    def forward(self, x: Array, training: bool) -> tuple[Any, Cache]:
        return _forward(list(self.layers.values()), x, training)

    def forward_through(self, x: Array, norm: BatchNorm, residual: Array) -> Array:
        """The output in evaluation, passed through a batch norm with a residual sum."""
        layers = list(self.layers.values())
        if not layers or not isinstance(layers[-1], Conv2d):
            return norm.forward(self.forward(x, False)[0], False, residual)[0]
        given, _ = _forward(layers[:-1], x, False, layers[-1])
        return layers[-1].forward_through(given, norm.after(residual))

    def kept_output(self, cache: Cache) -> Remade | None:
        return list(self.layers.values())[-1].kept_output(cache[-1]) if self.layers else None

    def keep_input(self, cache: Cache, kept: Remade) -> None:
        for layer in list(self.layers.values())[:1]:
            layer.keep_input(cache[0], kept)

    def reads_gradient(self, cache: Cache) -> bool:
        return bool(self.layers) and list(self.layers.values())[-1].reads_gradient(cache[-1])

    def backward(
        self, dy: Any, cache: Cache, need_dx: bool = True, plus: Array | None = None
    ) -> Array | None:
        """As `Layer.backward`; plus : the gradient of another use of x, added to ∂L/∂x."""
        layers = list(self.layers.values())
        # Without need_dx no layer before the first trainable one needs its gradient.
        first = 0 if need_dx else _first_trainable(layers)
        # Not an array where a batch norm leaves the gradient of its input to the layer before.
        gradient = dy
        for i in reversed(range(first, len(layers))):
            assert gradient is not None
            layer = layers[i]
            if i == 0 and plus is not None and isinstance(layer, Weighted):
                return layer.backward(gradient, cache.pop(), True, plus)
            own = cache.pop()
            if isinstance(layer, BatchNorm) and i > first:
                gradient = layer.backward_into(layers[i - 1], cache[-1], gradient, own)
            else:
                gradient = layer.backward(gradient, own, need_dx or i > first)
        if plus is not None and gradient is not None:
            gradient = gradient + plus
        return gradient if need_dx else None


def _forward(layers: list[Layer], x: Array, training: bool, reader: Layer | None = None) -> tuple[Any, Cache]:
    """What layers one after the other give, and their caches; `reader` : the layer after the last."""
    caches: list[Cache] = []
    # What the next layer is given: not an array where a batch norm leaves its output to it.
    given: Any = x
    kept = None
    for layer, after in zip(layers, [*layers, reader][1:], strict=True):
        if isinstance(layer, BatchNorm) and after is not None:
            given, cache = layer.forward_into(after, given, training)
        else:
            given, cache = layer.forward(given, training)
        if training:
            if kept is not None:
                layer.keep_input(cache, kept)
            kept = layer.kept_output(cache)
            caches.append(cache)
    return given, caches if training else None


def _named(layers: Any) -> dict[str, Layer]:
    if not isinstance(layers, Mapping | list | tuple):
        raise ValueError(f"layers must be layers by name, or a list of them; got {type(layers).__name__}")
    named = layers if isinstance(layers, Mapping) else {str(i): layer for i, layer in enumerate(layers)}
    for name, layer in named.items():
        if not isinstance(layer, Layer):
            kind = f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__
            raise ValueError(f"layer {name} must be a layer, such as ReLU(); got {kind}")
        if not isinstance(name, str) or not name:
            raise ValueError(f"names of layers must be words; got {name!r}")
    return dict(named)


def _first_trainable(layers: list[Layer]) -> int:
    return next((i for i, layer in enumerate(layers) if layer.trainable()), len(layers))


class _LinearisedSequential(Linearised):
    def __init__(self, layer: Sequential, training: bool) -> None:
        self.layers = [each.linearised(training) for each in layer.layers.values()]

    def forward(self, x: Array) -> Array:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy: Array, gradient: Views) -> Array:
        for layer in reversed(self.layers):
            dy = layer.backward(dy, gradient)
        return dy

    def forward_change(self, dx: Array, change: Views) -> Array:
        for layer in self.layers:
            dx = layer.forward_change(dx, change)
        return dx

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        for layer in reversed(self.layers):
            ddy = layer.backward_change(ddy, change, out)
        return ddy


class Residual(Layer):
    """A body, a shortcut around it, and the batch norm where the two meet.

    y = max(norm(body(x)) + shortcut(x), 0); the sum is taken inside the norm, before its ReLU

    Parameters
    ----------
    body
        Named layers, applied in order.
    norm
        Name and layer of the batch norm where the two meet.
    shortcut
        Named layers, applied in order; None for the identity.
    shortcut_name
        Their common name.

    Source
    ------
    He et al. 2016, the basic block.
    """

    def __init__(
        self,
        body: Mapping[str, Layer],
        norm: tuple[str, BatchNorm],
        shortcut: Mapping[str, Layer] | None,
        shortcut_name: str = SHORTCUT,
    ) -> None:
        self.body, self.shortcut_name = Sequential(body), shortcut_name
        self.norm_name, self.norm = norm
        self.shortcut = None if shortcut is None else Sequential(shortcut)

    def children(self) -> dict[str, Layer]:
        own: dict[str, Layer] = {**self.body.layers, self.norm_name: self.norm}
        return own if self.shortcut is None else {**own, self.shortcut_name: self.shortcut}

    def output_shape(self, shape: Shape | None) -> Shape | None:
        return self.body.output_shape(shape)

    def linearised(self, training: bool) -> Linearised:
        return _LinearisedResidual(self, training)

    def __repr__(self) -> str:
        shortcut = "" if self.shortcut is None else f", shortcut={self.shortcut!r}"
        return f"Residual(body={self.body!r}, {self.norm_name}={self.norm!r}{shortcut})"

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        side, shortcut = (x, None) if self.shortcut is None else self.shortcut.forward(x, training)
        if not training:
            return self.body.forward_through(x, self.norm, side), None
        main, body = self.body.forward(x, training)
        y, norm = self.norm.forward(main, training, residual=side)
        if self.shortcut is not None:
            norm.residual = self.shortcut.kept_output(shortcut) or side
        return y, [shortcut, body, norm]

    def kept_output(self, cache: Cache) -> Remade | None:
        return self.norm.kept_output(cache[-1])

    def keep_input(self, cache: Cache, kept: Remade) -> None:
        shortcut, body, norm = cache
        self.body.keep_input(body, kept)
        if self.shortcut is None:
            norm.residual = kept
        else:
            self.shortcut.keep_input(shortcut, kept)

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        # No name for what the norm kept: it must be gone before the body needs memory.
        main, side = self.norm.backward_sum(dy, cache.pop(), self.body, cache[-1])
        body = cache.pop()
        through = side if self.shortcut is None else self.shortcut.backward(side, cache.pop())
        return self.body.backward(main, body, plus=through)


class _LinearisedResidual(Linearised):
    """y = norm(body(x)) with the shortcut's output added inside the norm."""

    def __init__(self, layer: Residual, training: bool) -> None:
        self.body, self.norm = layer.body.linearised(training), LinearisedBatchNorm(layer.norm, training)
        self.shortcut = (layer.shortcut or Sequential({})).linearised(training)

    def forward(self, x: Array) -> Array:
        return self.norm.forward(self.body.forward(x), self.shortcut.forward(x))

    def backward(self, dy: Array, gradient: Views) -> Array:
        main, side = self.norm.backward_sum(dy, gradient)
        return self.body.backward(main, gradient) + self.shortcut.backward(side, gradient)

    def forward_change(self, dx: Array, change: Views) -> Array:
        main, side = self.body.forward_change(dx, change), self.shortcut.forward_change(dx, change)
        return self.norm.forward_change(main, change, side)

    def backward_change(self, ddy: Array, change: Views, out: Views) -> Array:
        main, side = self.norm.backward_sum_change(ddy, change, out)
        return self.body.backward_change(main, change, out) + self.shortcut.backward_change(side, change, out)
