"""Oscillation dampening: latent weights are drawn to the level they round to (Nagel et al. 2022)."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.graph import links
from psgd_ref.compress.quantization_aware.fake_quantizer import FakeQuantizer
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model


@dataclass(frozen=True)
class Dampening:
    """λ Σ (ŵ − clip(w))² over all weights with a learning quantizer, a `Penalty`; ŵ is held constant.

    λ rises from 0 to `strength` along half a cosine in `steps` steps. PSGD's opposite: there the pull is
    greatest at the thresholds between levels, where weights oscillate. Source: Nagel et al. 2022.
    """

    strength: float
    steps: int

    def __call__(self, model: Model, step: int) -> float:
        factor = self.strength * (1 - math.cos(math.pi * min(step / self.steps, 1.0))) / 2
        total = 0.0
        for link in links(model):
            quantizer, weight = link.layer.weight_quantizer, link.layer.weight
            if isinstance(quantizer, FakeQuantizer):
                rounded, _ = quantizer.forward(weight.value, False)
                gap = np.clip(weight.value, *quantizer.ends) - rounded
                weight.grad += 2 * factor * gap
                total += factor * float((gap.astype(np.float64) ** 2).sum())
        return total


class Oscillations:
    """How often each weight's integer turns back: f ← m o + (1 − m) f, o = 1 when a change undoes the last.

    momentum : m in (0, 1].   Source: Nagel et al. 2022, where m = 0.01 and f > 0.005 counts as oscillating.
    """

    def __init__(self, codes: npt.NDArray[np.integer], momentum: float = 0.01) -> None:
        self.codes, self.momentum = codes.astype(np.int64), momentum
        self.direction = np.zeros(codes.shape, np.int64)
        self.frequency: Array = np.zeros(codes.shape)

    def update(self, codes: npt.NDArray[np.integer]) -> None:
        """Note the integers after a step."""
        change = np.sign(codes.astype(np.int64) - self.codes)
        turned = (change != 0) & (self.direction == -change)
        self.frequency += self.momentum * (turned - self.frequency)
        self.direction = np.where(change != 0, change, self.direction)
        self.codes = codes.astype(np.int64)

    def share(self, threshold: float = 0.005) -> float:
        """Share of weights that oscillate, 0 … 1."""
        return float((self.frequency > threshold).mean())
