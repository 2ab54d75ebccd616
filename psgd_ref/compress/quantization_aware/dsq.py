"""DSQ: a staircase of learned softness in the backward pass (Gong et al. 2019)."""

from typing import Self

import numpy as np

from psgd_ref import kernels
from psgd_ref.compress.post_training.activations import Inputs
from psgd_ref.compress.quantization_aware.fake_quantizer import code_range, gradient_scale
from psgd_ref.compress.quantization_aware.learned_range import LearnedRange
from psgd_ref.core.arguments import Array, finite_number, real_array
from psgd_ref.kernels.parts import SMALLEST_STEP
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.parameters import Parameter, filled

ALPHA = 0.2
# Where the slope in the middle of a cell is still a number that single precision can represent well.
LEAST_ALPHA, LARGEST_ALPHA = 1e-2, 0.499


class DSQ(LearnedRange):
    """Forward the nearest of 2^b levels from l to u; backward the gradient of a soft staircase.

    Q_S(x) = l + Δ (i + (φ + 1)/2), φ = tanh(k (x − m_i))/(1 − α) in cell i with middle m_i,
    k = ln(2/α − 1)/Δ, Δ = (u − l)/(2^b − 1): α → 0 is the hard staircase, larger α nearer to the line

    l, u and α are learned, with gradients times LSQ's 1/√(N (2^b − 1)).

    Parameters
    ----------
    bits
        1 … 16.
    lower, upper
        l < u.
    batched
        As in `LSQ`.
    alpha
        0.01 ≤ α < 0.5; an α that training moves out of that range acts as its nearer end.

    Source
    ------
    Gong et al. 2019; α begins at 0.2, as in public code.
    """

    def __init__(
        self, bits: int, lower: float, upper: float, batched: bool = False, alpha: float = ALPHA
    ) -> None:
        super().__init__(bits, lower, upper, batched)
        if not LEAST_ALPHA <= finite_number("alpha", alpha) <= LARGEST_ALPHA:
            raise ValueError(f"alpha must lie in [{LEAST_ALPHA}, {LARGEST_ALPHA}]; got {alpha!r}")
        self.alpha = Parameter((), "quantizer", filled(alpha))

    @classmethod
    def of_weights(cls, w: Array, bits: int) -> Self:
        """[−max|w|, max|w|]."""
        reach = max(float(np.abs(real_array("w", w)).max(initial=0.0)), SMALLEST_STEP)
        return cls(bits, -reach, reach)

    @classmethod
    def of_inputs(cls, inputs: Inputs, bits: int) -> Self:
        """From the smallest value, at most 0, to the moving average of the batches' largest."""
        return cls(bits, min(inputs.smallest, 0.0), max(inputs.average_top, SMALLEST_STEP), batched=True)

    def parameters(self) -> dict[str, Parameter]:
        return {**super().parameters(), "alpha": self.alpha}

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        alpha = float(np.clip(self.alpha.value, LEAST_ALPHA, LARGEST_ALPHA))
        dx, *others = kernels.soft_round_backward(dy, cache, *self.ends, self.cells, alpha)
        scale = gradient_scale(cache, self.batched, self.cells)
        for parameter, gradient in zip((self.lower, self.upper, self.alpha), others, strict=True):
            parameter.grad[...] = gradient * scale
        return dx


def soft_round(x: Array, lower: float, upper: float, bits: int, alpha: float) -> Array:
    """Q_S, the staircase whose gradient `DSQ` uses.

    Parameters
    ----------
    x
        Any shape.
    lower, upper
        l < u, in the unit of x.
    bits
        1 … 16.
    alpha
        α in (0, 1).

    Returns
    -------
    Shape and dtype of x.

    Raises
    ------
    ValueError
        For other values.
    """
    _, cells = code_range(bits, False)
    x = real_array("x", x)
    if not finite_number("lower", lower) < finite_number("upper", upper):
        raise ValueError(f"a range needs lower < upper; got {lower!r} and {upper!r}")
    if not 0 < finite_number("alpha", alpha) < 1:
        raise ValueError(f"alpha must be a number in (0, 1); got {alpha!r}")
    step = (upper - lower) / cells
    t = np.clip((x - lower) / step, 0, cells)
    cell = np.minimum(np.floor(t), cells - 1)
    phi = np.tanh(np.log(2 / alpha - 1) * (t - cell - 0.5)) / (1 - alpha)
    return np.asarray(lower + step * (cell + (phi + 1) / 2))
