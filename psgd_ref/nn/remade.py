"""A batch norm's output, and the gradient of its input, stored as what they are computed from."""

from dataclasses import dataclass
from typing import TypeAlias

from psgd_ref import kernels
from psgd_ref.core.arguments import Array


@dataclass
class Remade:
    """The output y of a batch norm, stored as what it is computed from.

    A convolution may compute it as it reads its input (`norm`), so that y is never stored. `array()` computes
    y, bit for bit as the forward pass does or did, and keeps it from then on. A residual sum is recomputed
    from its recomputed summands: the first call in a backward pass makes all outputs of a stage up to this
    one. By then the arrays of later stages have been freed, so that there is memory for them.

    Parameters
    ----------
    x, gamma, beta, mean, var, eps, residual, relu
        As in `kernels.batch_norm_eval`; gamma and beta must not change before the backward pass.
    y
        The output where it is too small to be worth recomputing, else None.
    """

    x: Array
    gamma: Array
    beta: Array
    mean: Array
    var: Array
    eps: float
    residual: "Kept | None"
    relu: bool
    y: Array | None = None

    @property
    def norm(self) -> kernels.Norm | None:
        """What x can be read through in place of y; None where y is there, or has a residual or no ReLU."""
        if self.y is not None or self.residual is not None or not self.relu:
            return None
        return kernels.Norm(self.gamma, self.beta, self.mean, self.var, self.eps)

    def array(self) -> Array:
        """y, computed when it is not stored."""
        if self.y is None:
            residual = None if self.residual is None else unpacked(self.residual)
            self.y = kernels.batch_norm_eval(
                self.x, self.gamma, self.beta, self.mean, self.var, self.eps, residual, self.relu
            )
        return self.y


@dataclass
class RemadeGradient:
    """The gradient of a batch norm's input, stored as what it is computed from.

    The convolution before the norm computes it as it reads it, so that it is never stored.

    Parameters
    ----------
    given
        The gradient behind the norm.
    through
        What takes it to the norm's input.
    """

    given: Array
    through: kernels.NormGradient


# What a layer keeps of an array: itself, or what recomputes it.
Kept: TypeAlias = Array | Remade


def unpacked(kept: Kept) -> Array:
    """The array."""
    return kept.array() if isinstance(kept, Remade) else kept
