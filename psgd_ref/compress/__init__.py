"""What one does to a trained model: grids, quantization, pruning."""

from psgd_ref.compress.aciq import ACIQGrid
from psgd_ref.compress.activations import calibrated, from_batch_norms, hold_inputs
from psgd_ref.compress.adaptivfloat import AdaptivFloatGrid
from psgd_ref.compress.batch_norm import reestimate_batch_norm
from psgd_ref.compress.bias_correction import correct_biases
from psgd_ref.compress.dfq import dfq
from psgd_ref.compress.equalisation import absorb_biases, equalise
from psgd_ref.compress.folding import fold_batch_norms
from psgd_ref.compress.grids import ClipGrid, FixedTargets, Grid, as_grid
from psgd_ref.compress.lapq import LAPQ, lapq
from psgd_ref.compress.min_max import MinMaxGrid
from psgd_ref.compress.mse import MSEGrid, PNormGrid
from psgd_ref.compress.names import GRIDS, named_grid
from psgd_ref.compress.quantize import QuantizedModel, quantize, relative_error
from psgd_ref.compress.report import report
from psgd_ref.compress.tensor import QuantizedTensor, correct_channels, quantize_tensor

__all__ = [
    "GRIDS",
    "LAPQ",
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
    "absorb_biases",
    "as_grid",
    "calibrated",
    "correct_biases",
    "correct_channels",
    "dfq",
    "equalise",
    "fold_batch_norms",
    "from_batch_norms",
    "hold_inputs",
    "lapq",
    "named_grid",
    "quantize",
    "quantize_tensor",
    "reestimate_batch_norm",
    "relative_error",
    "report",
]
