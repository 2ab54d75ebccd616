"""Batch-norm folding: a convolution and the batch norm after it as one convolution with a bias."""

import numpy as np

from psgd_ref.compress.graph import weight_layers
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model
from psgd_ref.nn.parameters import Parameter, zeros

# Small beside any γ² that matters, and more than nothing for the channels whose γ is 0.
FOLDED_EPS = 1e-12


def fold_batch_norms(model: Model) -> Model:
    """A model of the same function in evaluation, every foldable batch norm moved into weight and bias.

    k = γ/√(v + ε):   W ← W k,   b ← (b − m) k + β

    The batch norm stays in its place as the identity, and remembers what it normalised: it now has mean β,
    variance γ², scale |γ| and shift β. So its moments can still be read off it, and re-estimating its
    statistics after quantization restores them. Biases that come from a batch norm are kept off the grid like
    the batch norm (role "norm").

    Source
    ------
    Jacob et al. 2018; the memory is ours.
    """
    check_model(model)
    copied = Model.copy(model)
    foldable = [each for each in weight_layers(copied) if each.norm is not None]
    for each in foldable:
        if each.layer.bias is None:
            each.layer.bias = Parameter((each.layer.weight.shape[-1],), "norm", zeros)
    copied.lay_out_again()
    for each in foldable:
        norm, weight, bias = each.norm, each.layer.weight.value, each.layer.bias
        assert norm is not None
        assert bias is not None
        gamma, beta = norm.weight.value, norm.bias.value
        factor = gamma / np.sqrt(norm.running_var.astype(gamma.dtype) + norm.eps)
        weight *= factor
        bias.value[...] = (bias.value - norm.running_mean) * factor + beta
        norm.eps = FOLDED_EPS
        norm.running_mean[...], norm.running_var[...] = beta, gamma.astype(np.float64) ** 2
        gamma[...] = np.sqrt(norm.running_var + norm.eps)
    return copied
