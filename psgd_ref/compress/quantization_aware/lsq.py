"""LSQ: the step of the grid is learned (Esser et al. 2020)."""

from typing import Self

import numpy as np

from psgd_ref import kernels
from psgd_ref.compress.post_training.activations import Inputs
from psgd_ref.compress.quantization_aware.fake_quantizer import FakeQuantizer, code_range, gradient_scale
from psgd_ref.core.arguments import Array, flag, real_array, real_number
from psgd_ref.kernels.parts import SMALLEST_STEP
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.parameters import Parameter, filled


class LSQ(FakeQuantizer):
    """x ↦ s · round(clip(x/s, low, high)), with the step s learned.

    ∂/∂s = (round(v) − v) inside, low and high outside, v = x/s, times 1/√(N · high);
    ∂/∂x = 1 for low < v < high, else 0 (the straight-through estimator)

    A step that training makes smaller than 1e−30 acts as 1e−30.

    Parameters
    ----------
    bits
        2 … 16, or 1 … 16 unsigned.
    step
        s > 0, in the unit of x.
    signed
        Codes −2^(b−1) … 2^(b−1) − 1, else 0 … 2^b − 1.
    batched
        Whether x's first axis counts images: N is then that of one image.
    offset
        None here; see `LSQPlus`.

    Source
    ------
    Esser et al. 2020.
    """

    offset: Parameter | None = None

    def __init__(self, bits: int, step: float, signed: bool = True, batched: bool = False) -> None:
        self.low, self.high = code_range(bits, flag("signed", signed))
        self.bits, self.batched = bits, flag("batched", batched)
        self.step = Parameter((), "quantizer", filled(real_number("step", step, positive=True)))

    @classmethod
    def of_weights(cls, w: Array, bits: int) -> Self:
        """s = 2 mean|w| / √high."""
        return cls(bits, initial_step(w, code_range(bits, True)[1]))

    @classmethod
    def of_inputs(cls, inputs: Inputs, bits: int) -> Self:
        """The same from a sample; unsigned unless an input is negative."""
        signed = inputs.smallest < 0
        return cls(bits, initial_step(inputs.sample, code_range(bits, signed)[1]), signed, batched=True)

    def parameters(self) -> dict[str, Parameter]:
        return {"step": self.step} if self.offset is None else {"step": self.step, "offset": self.offset}

    @property
    def ends(self) -> tuple[float, float]:
        step, offset = self._grid()
        return self.low * step + offset, self.high * step + offset

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        y = kernels.fake_quantize(x, *self._grid(), self.low, self.high)
        return y, x if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        dx, dstep, doffset = kernels.fake_quantize_backward(dy, cache, *self._grid(), self.low, self.high)
        scale = gradient_scale(cache, self.batched, self.high)
        self.step.grad[...] = dstep * scale
        if self.offset is not None:
            self.offset.grad[...] = doffset * scale
        return dx

    def _grid(self) -> tuple[float, float]:
        """The step and the offset in force."""
        offset = 0.0 if self.offset is None else float(self.offset.value)
        return max(float(self.step.value), SMALLEST_STEP), offset


def initial_step(x: Array, high: int) -> float:
    """2 mean|x| / √high; 1 for values that are all 0."""
    x = real_array("x", x)
    size = float(np.abs(x).mean()) if x.size else 0.0
    return max(float(2 * size / np.sqrt(high)), SMALLEST_STEP) if size > 0 else 1.0


def step_gradient(w: Array, step: float, bits: int) -> Array:
    """∂ŵ/∂s of every signed weight, times 1/√(N · high): shape of w, float64. For claim H2."""
    low, high = code_range(bits, True)
    w = real_array("w", w)
    slopes = [
        kernels.reference.fake_quantize_backward(np.ones(1), np.array([x]), step, 0.0, low, high)[1]
        for x in np.asarray(w, np.float64).ravel()
    ]
    return np.reshape(slopes, np.shape(w)) * gradient_scale(np.asarray(w), False, high)
