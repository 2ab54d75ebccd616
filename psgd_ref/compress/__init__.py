"""What one does to a trained model: grids, quantization, pruning."""

from psgd_ref.compress.batch_norm import reestimate_batch_norm
from psgd_ref.compress.grids import Grid, MinMaxGrid, MSEGrid
from psgd_ref.compress.quantize import (
    QuantizedModel,
    QuantizedTensor,
    quantize,
    quantize_tensor,
    relative_error,
)

__all__ = [
    "Grid",
    "MSEGrid",
    "MinMaxGrid",
    "QuantizedModel",
    "QuantizedTensor",
    "quantize",
    "quantize_tensor",
    "reestimate_batch_norm",
    "relative_error",
]
