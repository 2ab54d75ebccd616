"""What quantization costs a network, term by term, beside the truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.analysis.landscape import loss_at
from psgd_ref.core.arguments import Array, real_array
from psgd_ref.nn import Hessian


@dataclass(frozen=True)
class Expansion:
    """L(w̄) − L(w) = g·q + ½ qᵀHq + O(‖q‖³), q = w̄ − w.

    Parameters
    ----------
    slope
        g·q.
    bend
        ½ qᵀHq.
    squared
        ‖q‖².
    true
        L(w̄) − L(w).
    """

    slope: float
    bend: float
    squared: float
    true: float

    @property
    def predicted(self) -> float:
        """g·q + ½ qᵀHq."""
        return self.slope + self.bend


def quantization_expansion(
    hessian: Hessian, quantized: npt.ArrayLike, images: Array, labels: Any, label_smoothing: float = 0.0
) -> Expansion:
    """The cost of moving from the point of `hessian` to the weights `quantized`.

    Parameters
    ----------
    hessian
        The Hessian at the weights w before quantization.
    quantized
        w̄, shape (n,).
    images, labels, label_smoothing
        Those that `hessian` was made with. Batch norms take the statistics of the images at both ends and in
        both derivatives.

    Source
    ------
    Claim F3.
    """
    q = real_array("quantized", quantized).astype(np.float64) - hessian.model.w
    bend = 0.5 * float(q @ hessian.product(q))
    true = loss_at(hessian.model, quantized, images, labels, label_smoothing) - hessian.loss
    return Expansion(float(hessian.gradient @ q), bend, float(q @ q), true)
