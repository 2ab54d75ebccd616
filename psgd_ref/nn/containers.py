"""Layers made of layers: one behind the other, and with a shortcut around them."""

from psgd_ref.core.arguments import Array
from psgd_ref.nn.layer import Cache, Layer
from psgd_ref.nn.norm import BatchNorm


class Sequential(Layer):
    """Named layers, each applied to the output of the one before."""

    def __init__(self, layers: dict[str, Layer]) -> None:
        self.layers = layers

    def children(self) -> dict[str, Layer]:
        return self.layers

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        caches = []
        for layer in self.layers.values():
            x, cache = layer.forward(x, training)
            caches.append(cache)
        return x, caches if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        layers = list(self.layers.values())
        # Without need_dx nothing before the first trainable layer has to see its gradient.
        first = 0 if need_dx else _first_trainable(layers)
        gradient: Array | None = dy
        for i in reversed(range(first, len(layers))):
            assert gradient is not None
            gradient = layers[i].backward(gradient, cache[i], need_dx or i > first)
        return gradient if need_dx else None


def _first_trainable(layers: list[Layer]) -> int:
    return next((i for i, layer in enumerate(layers) if layer.trainable()), len(layers))


class Residual(Layer):
    """y = join(body(x) + …): a body, a shortcut around it, and the batch norm where the two meet.

    y = max(norm(body(x)) + shortcut(x), 0), the identity when `shortcut` is None. The sum is taken
    inside the norm, before its ReLU. Source: He et al. 2016, the basic block.
    """

    def __init__(
        self, body: dict[str, Layer], norm: tuple[str, BatchNorm], shortcut: dict[str, Layer] | None
    ) -> None:
        self.body = Sequential(body)
        self.norm_name, self.norm = norm
        self.shortcut = None if shortcut is None else Sequential(shortcut)

    def children(self) -> dict[str, Layer]:
        own: dict[str, Layer] = {**self.body.layers, self.norm_name: self.norm}
        return own if self.shortcut is None else {**own, "downsample": self.shortcut}

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        main, body = self.body.forward(x, training)
        side, shortcut = (x, None) if self.shortcut is None else self.shortcut.forward(x, training)
        y, norm = self.norm.forward(main, training, residual=side)
        return y, (body, norm, shortcut) if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        body, norm, shortcut = cache
        dmain, dside = self.norm.backward_sum(dy, norm)
        dx = self.body.backward(dmain, body)
        assert dx is not None
        if self.shortcut is not None:
            through = self.shortcut.backward(dside, shortcut)
            assert through is not None
            dside = through
        dx += dside
        return dx
