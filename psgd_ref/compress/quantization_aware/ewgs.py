"""EWGS: the rounding error scales the gradient that passes (Lee, Kim, Ham 2021)."""

from typing import Self

import numpy as np

from psgd_ref import kernels
from psgd_ref.compress.post_training.activations import Inputs
from psgd_ref.compress.quantization_aware.fake_quantizer import gradient_scale
from psgd_ref.compress.quantization_aware.learned_range import LearnedRange
from psgd_ref.core.arguments import Array, real_array, real_number
from psgd_ref.kernels.parts import SMALLEST_STEP
from psgd_ref.nn.layer import Cache

DELTA = 1e-3


class EWGS(LearnedRange):
    """x ↦ l + (u − l) x_q, x_q = round(x_n (2^b − 1))/(2^b − 1), x_n = clip((x − l)/(u − l), 0, 1).

    Backwards through the rounding: g_n = g_q (1 + δ sgn(g_q)(x_n − x_q))

    The closest relative of PSGD among the methods that quantize in training: the gradient grows with the
    distance to the level where it pulls towards the level, and shrinks with it where it pushes away.

    Parameters
    ----------
    bits
        1 … 16.
    lower, upper
        l < u, both learned, with gradients times LSQ's 1/√(N (2^b − 1)).
    batched
        As in `LSQ`.
    delta
        δ ≥ 0; 0 is the straight-through estimator.

    Source
    ------
    Lee, Kim, Ham 2021; the values keep the range of x, where the paper has [−1, 1] or [0, 1] and a learned
    factor after the layer.
    """

    def __init__(
        self, bits: int, lower: float, upper: float, batched: bool = False, delta: float = DELTA
    ) -> None:
        super().__init__(bits, lower, upper, batched)
        self.delta = real_number("delta", delta)

    @classmethod
    def of_weights(cls, w: Array, bits: int) -> Self:
        """[−3σ, 3σ], σ the standard deviation of w (from memory of the official code)."""
        w = real_array("w", w)
        reach = max(3 * float(w.std()) if w.size else 0.0, SMALLEST_STEP)
        return cls(bits, -reach, reach)

    @classmethod
    def of_inputs(cls, inputs: Inputs, bits: int) -> Self:
        """From the smallest value, at most 0, to 3σ/√(1 − 2/π), σ the standard deviation of a sample."""
        top = 3 * float(inputs.sample.std()) / np.sqrt(1 - 2 / np.pi)
        return cls(bits, min(inputs.smallest, 0.0), max(float(top), SMALLEST_STEP), batched=True)

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        # In units of a cell the difference x_n − x_q is `cells` times as long.
        pull = self.delta / self.cells
        dx, dstep, dlower = kernels.fake_quantize_backward(dy, cache, *self.grid, 0, self.cells, pull)
        scale = gradient_scale(cache, self.batched, self.cells)
        self.lower.grad[...] = (dlower - dstep / self.cells) * scale
        self.upper.grad[...] = dstep / self.cells * scale
        return dx
