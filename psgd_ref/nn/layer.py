"""What every layer is: a forward pass, a backward pass, and the names of what it holds."""

from typing import TYPE_CHECKING, Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.nn.parameters import Parameter
from psgd_ref.nn.remade import Remade

if TYPE_CHECKING:
    from psgd_ref.nn.linearised import Linearised

Cache = Any
# Of one input or output, without the axis of images; None for a length that is not known.
Shape = tuple[int | None, ...]


class Layer:
    """A differentiable map with explicit passes.

    y, cache = forward(x, training);   dx = backward(dy, cache)

    `backward` writes the gradients of the layer's own parameters into their `grad` views and returns
    ∂L/∂x, or None when `need_dx` is False. Outside training no cache is kept and `cache` is None. A cache
    serves one backward pass, which frees its arrays as it goes.
    """

    def parameters(self) -> dict[str, Parameter]:
        """Trainable arrays by name, PyTorch's names where it has the layer."""
        return {}

    def buffers(self) -> dict[str, Array]:
        """Arrays that are state but not trained (running statistics), by name."""
        return {}

    def children(self) -> "dict[str, Layer]":
        """Layers inside this one, in forward order."""
        return {}

    def trainable(self) -> bool:
        """Whether the layer or one inside it has parameters."""
        return bool(self.parameters()) or any(child.trainable() for child in self.children().values())

    def seed_from(self, rng: np.random.Generator) -> None:
        """Draw a seed from the model's generator, if the layer makes random numbers of its own."""

    def output_shape(self, shape: Shape | None) -> Shape | None:
        """The shape of one output for one input of that shape; None when it is not known."""
        return shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        raise NotImplementedError

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        raise NotImplementedError

    def linearised(self, training: bool) -> "Linearised":
        """The layer linearised at its current parameters, for exact Hessian-vector products.

        Parameters
        ----------
        training
            Whether it acts as in training: batch norms on the batch's statistics, dropout.

        Raises
        ------
        ValueError
            For a layer whose rules are not known.
        """
        raise ValueError(
            f"exact Hessian-vector products know no rule for a layer {type(self).__name__}; "
            "use method='differences'"
        )

    def reads(self, x: Array) -> bool:
        """Whether `forward` also takes a batch norm of x that is still to be computed (`Remade.norm`)."""
        return False

    def reads_gradient(self, cache: Cache) -> bool:
        """Whether `backward` also takes a gradient that is still to be computed (`RemadeGradient`)."""
        return False

    def kept_output(self, cache: Cache) -> Remade | None:
        """What the backward pass can recompute the output from; None if it cannot."""
        return None

    def keep_input(self, cache: Cache, kept: Remade) -> None:
        """Keep `kept` where the cache holds the layer's input. Modifies the cache."""
