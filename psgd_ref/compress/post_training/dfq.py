"""DFQ, data-free quantization: four analytic steps on a trained network with batch norms."""

from collections.abc import Callable

from psgd_ref.compress.grids.base import Grid
from psgd_ref.compress.grids.min_max import MinMaxGrid
from psgd_ref.compress.post_training.activations import from_batch_norms, insert_input_quantizers
from psgd_ref.compress.post_training.bias_correction import correct_biases
from psgd_ref.compress.post_training.equalization import absorb_biases, equalize
from psgd_ref.compress.post_training.folding import fold_batch_norms
from psgd_ref.compress.post_training.quantize import QuantizedModel
from psgd_ref.compress.selection import assign
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model


def dfq(
    model: Model,
    bits: int = 8,
    activation_bits: int | None = None,
    grid: Callable[..., Grid] = MinMaxGrid,
    per_channel: bool = False,
) -> QuantizedModel:
    """Fold batch norms, equalize ranges, absorb high biases, round the weights, correct the biases.

    Needs no data. A network without batch norms is equalized, and that is all. The first layer's inputs are
    taken to have mean zero.

    Parameters
    ----------
    bits, grid, per_channel
        Of the weights, as in `quantize`; biases stay at full precision.
    activation_bits
        None leaves activations as they are; else ranges from the batch norms.

    Source
    ------
    Nagel et al. 2019; its sums over residual blocks are ours.
    """
    check_model(model)
    ready = fold_batch_norms(model)
    equalize(ready)
    absorb_biases(ready)
    rules = {
        segment.name: rule
        for segment, rule in assign(ready, grid(bits, per_channel))
        if segment.role == "weight"
    }
    quantized = QuantizedModel(ready, rules)
    correct_biases(quantized, ready)
    if activation_bits is not None:
        insert_input_quantizers(quantized, from_batch_norms(ready, activation_bits))
    return quantized
