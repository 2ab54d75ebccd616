"""Oscillation dampening: latent weights are pulled to the level that they round to (Nagel et al. 2022)."""

import math
from dataclasses import dataclass

import numpy as np

from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.quantization_aware.fake_quantizer import FakeQuantizer
from psgd_ref.nn import Model


@dataclass(frozen=True)
class Dampening:
    """λ Σ (ŵ − clip(w))² over all weights with a learning quantizer, a `Penalty`; ŵ is held constant.

    PSGD's opposite: there the pull is greatest at the thresholds between levels, where weights oscillate.

    Parameters
    ----------
    strength
        What λ rises to, from 0 along half a cosine.
    steps
        How many steps the rise takes.

    Source
    ------
    Nagel et al. 2022.
    """

    strength: float
    steps: int

    def __call__(self, model: Model, step: int) -> float:
        factor = self.strength * (1 - math.cos(math.pi * min(step / self.steps, 1.0))) / 2
        total = 0.0
        for each in weight_layers(model):
            quantizer, weight = each.layer.weight_quantizer, each.layer.weight
            if isinstance(quantizer, FakeQuantizer):
                rounded, _ = quantizer.forward(weight.value, False)
                gap = np.clip(weight.value, *quantizer.ends) - rounded
                weight.grad += 2 * factor * gap
                total += factor * float((gap.astype(np.float64) ** 2).sum())
        return total
