"""What one does to a trained model: grids, quantization, pruning."""

from psgd_ref.compress.aciq import ACIQGrid
from psgd_ref.compress.adaptivfloat import AdaptivFloatGrid
from psgd_ref.compress.batch_norm import reestimate_batch_norm
from psgd_ref.compress.grids import ClipGrid, FixedTargets, Grid, as_grid
from psgd_ref.compress.min_max import MinMaxGrid
from psgd_ref.compress.mse import MSEGrid, PNormGrid
from psgd_ref.compress.quantize import QuantizedModel, quantize, relative_error
from psgd_ref.compress.report import report
from psgd_ref.compress.tensor import QuantizedTensor, correct_channels, quantize_tensor

__all__ = [
    "ACIQGrid",
    "AdaptivFloatGrid",
    "ClipGrid",
    "FixedTargets",
    "Grid",
    "MSEGrid",
    "MinMaxGrid",
    "PNormGrid",
    "QuantizedModel",
    "QuantizedTensor",
    "as_grid",
    "correct_channels",
    "quantize",
    "quantize_tensor",
    "reestimate_batch_norm",
    "relative_error",
    "report",
]
