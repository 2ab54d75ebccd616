"""LSQ+: step and offset of the grid are learned (Bhalgat et al. 2020)."""

from typing import Self

import numpy as np

from psgd_ref import kernels
from psgd_ref.compress.post_training.activations import Inputs
from psgd_ref.compress.quantization_aware.fake_quantizer import code_range
from psgd_ref.compress.quantization_aware.lsq import LSQ
from psgd_ref.core.arguments import Array, finite_number, real_array
from psgd_ref.kernels.parts import SMALLEST_STEP
from psgd_ref.nn.parameters import Parameter, filled

# Ranges that are tried for the initial step and offset of an activation.
CANDIDATES = 20


class LSQPlus(LSQ):
    """LSQ with another start for weights, and for activations an offset: x ↦ s · code + β.

    code = round(clip((x − β)/s, 0, 2^b − 1));   ∂/∂β = 0 inside, 1 outside, times LSQ's 1/√(N · high)

    Parameters
    ----------
    bits, step, signed, batched
        As in `LSQ`.
    offset
        β, or None for weights, which have none.

    Source
    ------
    Bhalgat et al. 2020; the starts are from memory of the paper.
    """

    def __init__(
        self,
        bits: int,
        step: float,
        signed: bool = True,
        batched: bool = False,
        offset: float | None = None,
    ) -> None:
        super().__init__(bits, step, signed, batched)
        self.offset = (
            None if offset is None else Parameter((), "quantizer", filled(finite_number("offset", offset)))
        )

    @classmethod
    def of_weights(cls, w: Array, bits: int) -> Self:
        """s = max(|μ − 3σ|, |μ + 3σ|) / 2^(b−1), μ and σ mean and standard deviation of w."""
        w = real_array("w", w)
        mean, std = (float(w.mean()), float(w.std())) if w.size else (0.0, 0.0)
        return cls(bits, max((abs(mean) + 3 * std) / 2 ** (bits - 1), SMALLEST_STEP))

    @classmethod
    def of_inputs(cls, inputs: Inputs, bits: int) -> Self:
        """s and β of the least squared error on a sample, among ranges cut at either end."""
        return cls(bits, *_best_range(inputs.sample, bits))


def _best_range(x: Array, bits: int) -> tuple[float, bool, bool, float]:
    """Arguments of `LSQPlus` after the bits: step, unsigned, batched, offset."""
    _, high = code_range(bits, False)
    smallest, largest = min(float(x.min()), 0.0), float(x.max())
    if largest <= smallest:
        return 1.0, False, True, smallest
    fractions = np.arange(1, CANDIDATES + 1) / CANDIDATES
    best = (np.inf, 1.0, 0.0)
    for low in smallest * (fractions if smallest < 0 else fractions[-1:]):
        for top in largest * fractions:
            step = float((top - low) / high)
            if step > SMALLEST_STEP:
                error = float(np.mean((kernels.reference.fake_quantize(x, step, low, 0, high) - x) ** 2))
                best = min(best, (error, step, float(low)))
    return best[1], False, True, best[2]
