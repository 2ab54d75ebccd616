"""What a batch norm gives, made a second time from its input instead of being kept for the backward pass."""

from dataclasses import dataclass
from typing import TypeAlias

from psgd_ref import kernels
from psgd_ref.core.arguments import Array


@dataclass
class Remade:
    """The output y of a batch norm, by what it was made from: this is what its backward pass keeps.

    `array()` makes y bit for bit as it was and keeps it from then on. A residual sum is made from remade
    summands: the first call in a backward pass makes all outputs of a stage up to this one. By then what was
    kept behind the stage is gone, so that they find free memory.

    Parameters
    ----------
    x, gamma, beta, mean, var, eps, residual, relu
        As in `kernels.batch_norm_eval`; gamma and beta must not change before the backward pass.
    y
        The output where it is small and not worth a second pass over x, else None.
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

    def array(self) -> Array:
        """y, made when it is not there."""
        if self.y is None:
            residual = None if self.residual is None else unpacked(self.residual)
            self.y = kernels.batch_norm_eval(
                self.x, self.gamma, self.beta, self.mean, self.var, self.eps, residual, self.relu
            )
        return self.y


# What a layer keeps of an array: itself, or what makes it again.
Kept: TypeAlias = Array | Remade


def unpacked(kept: Kept) -> Array:
    """The array."""
    return kept.array() if isinstance(kept, Remade) else kept
