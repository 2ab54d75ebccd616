"""What is done to a trained model: grids, quantization, pruning."""

from psgd_ref.compress.grids.aciq import ACIQGrid
from psgd_ref.compress.grids.adaptivfloat import AdaptivFloatGrid
from psgd_ref.compress.grids.base import ClipGrid, FixedTargets, Grid, as_grid
from psgd_ref.compress.grids.bit_allocation import allocated_grids
from psgd_ref.compress.grids.min_max import MinMaxGrid
from psgd_ref.compress.grids.mse import MSEGrid, PNormGrid
from psgd_ref.compress.grids.wide_zero import WideZeroGrid
from psgd_ref.compress.multiplications import multiplications
from psgd_ref.compress.names import GRIDS, QUANTIZERS, named_grid
from psgd_ref.compress.parametrization import remove_parametrizations
from psgd_ref.compress.post_training.activations import calibrated, from_batch_norms, insert_input_quantizers
from psgd_ref.compress.post_training.adaround import AdaRound, adaround
from psgd_ref.compress.post_training.batch_norm import reestimate_batch_norm
from psgd_ref.compress.post_training.bias_correction import correct_biases
from psgd_ref.compress.post_training.dfq import dfq
from psgd_ref.compress.post_training.equalization import absorb_biases, equalize
from psgd_ref.compress.post_training.folding import fold_batch_norms
from psgd_ref.compress.post_training.lapq import LAPQ, lapq
from psgd_ref.compress.post_training.quantize import QuantizedModel, quantize, relative_error
from psgd_ref.compress.post_training.report import report
from psgd_ref.compress.post_training.tensor import QuantizedTensor, correct_channels, quantize_tensor
from psgd_ref.compress.pruning.l0 import L0Penalty, gated
from psgd_ref.compress.pruning.powerpropagation import powerpropagation
from psgd_ref.compress.pruning.prune import prune
from psgd_ref.compress.pruning.snip import snip
from psgd_ref.compress.pruning.sparsity import sparsity, sparsity_report
from psgd_ref.compress.pruning.spred import spred
from psgd_ref.compress.quantization_aware.bayesian_bits import BayesianBits, BitCost, chosen_bits, fix_gates
from psgd_ref.compress.quantization_aware.dampening import Dampening
from psgd_ref.compress.quantization_aware.dsq import DSQ
from psgd_ref.compress.quantization_aware.ewgs import EWGS
from psgd_ref.compress.quantization_aware.fake_quantizer import (
    FakeQuantizer,
    insert_fake_quantizers,
    remove_fake_quantizers,
)
from psgd_ref.compress.quantization_aware.lsq import LSQ
from psgd_ref.compress.quantization_aware.lsq_plus import LSQPlus

__all__ = [
    "DSQ",
    "EWGS",
    "GRIDS",
    "LAPQ",
    "LSQ",
    "QUANTIZERS",
    "ACIQGrid",
    "AdaRound",
    "AdaptivFloatGrid",
    "BayesianBits",
    "BitCost",
    "ClipGrid",
    "Dampening",
    "FakeQuantizer",
    "FixedTargets",
    "Grid",
    "L0Penalty",
    "LSQPlus",
    "MSEGrid",
    "MinMaxGrid",
    "PNormGrid",
    "QuantizedModel",
    "QuantizedTensor",
    "WideZeroGrid",
    "absorb_biases",
    "adaround",
    "allocated_grids",
    "as_grid",
    "calibrated",
    "chosen_bits",
    "correct_biases",
    "correct_channels",
    "dfq",
    "equalize",
    "fix_gates",
    "fold_batch_norms",
    "from_batch_norms",
    "gated",
    "insert_fake_quantizers",
    "insert_input_quantizers",
    "lapq",
    "multiplications",
    "named_grid",
    "powerpropagation",
    "prune",
    "quantize",
    "quantize_tensor",
    "reestimate_batch_norm",
    "relative_error",
    "remove_fake_quantizers",
    "remove_parametrizations",
    "report",
    "snip",
    "sparsity",
    "sparsity_report",
    "spred",
]
