"""Gradient-L1 regularisation: a loss whose gradient is small in L1 norm (Alizadeh et al. 2020)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from psgd_ref.compress.selection import weight_segments
from psgd_ref.core.arguments import Array, real_number
from psgd_ref.nn import Model
from psgd_ref.nn.hessian import Hessian


@dataclass(frozen=True)
class GradientL1:
    """L + λ ‖∂L/∂w‖₁ over weights, an `Objective`.

    Its gradient is g + λ H sgn(g) by one exact Hessian-vector product: rounding that moves each weight by
    at most δ changes the loss by at most δ‖g‖₁ to first order, so where the norm is small, rounding does
    little harm. The derivative of sgn, 0 almost everywhere, is left out.

    Parameters
    ----------
    strength
        λ ≥ 0.
    label_smoothing
        As in `Model.loss_and_grad`.

    Raises
    ------
    ValueError
        For a layer whose second derivatives are not known, such as a quantizer.

    Source
    ------
    Alizadeh et al. 2020, of which the term for activations is left out.
    """

    strength: float
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        real_number("strength", self.strength)

    def __call__(self, model: Model, images: Array, labels: Any, step: int) -> float:
        # Made first: its dropout drops what the next training pass drops.
        hessian = Hessian(model, images, labels, self.label_smoothing)
        loss = model.loss_and_grad(images, labels, self.label_smoothing)
        signs = np.zeros_like(model.w)
        for segment in weight_segments(model):
            signs[segment.span] = np.sign(model.g[segment.span])
        norm = float(signs @ model.g)
        model.g += self.strength * hessian.product(signs)
        return loss + self.strength * norm
