"""Cross-layer equalization and bias absorption: the same function with ranges that are easier to quantize.

Source: Nagel et al. 2019 (DFQ).
"""

import numpy as np

from psgd_ref.compress.graph import WeightLayer, weight_layers
from psgd_ref.core.arguments import Array, real_number, whole_number
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model

# Sweeps end when no channel would be scaled by more than this fraction.
TOLERANCE = 1e-3


def equalize(model: Model, sweeps: int = 100) -> None:
    """Scale neighbouring layers until every channel has the same range in both. Modifies the model.

    s_i = √(r1_i r2_i)/r2_i:   W1[…, i] /= s_i,   b1_i /= s_i,   W2[…, i, :] *= s_i

    Here r1_i and r2_i are max|·| of output channel i of one layer and of input channel i of the next; both
    become √(r1_i r2_i). The function stays the same, because only layers with h(cx) = c h(x) stand between
    the two. Batch norms must be folded first (`fold_batch_norms`); they are scaled, too.

    Parameters
    ----------
    sweeps
        Over all pairs of layers, at most.
    """
    check_model(model)
    pairs = [(each.previous, each) for each in weight_layers(model) if each.previous is not None]
    for _ in range(whole_number("sweeps", sweeps, 1)):
        largest = 0.0
        for first, second in pairs:
            s = equalizing_scale(output_range(first), input_range(second))
            _divide_outputs(first, s)
            second.layer.weight.value[...] *= second.layer.on_inputs(s)
            largest = max(largest, float(np.abs(np.log(s)).max()))
        if largest < TOLERANCE:
            return


def equalizing_scale(first: Array, second: Array) -> Array:
    """s = √(r1 r2)/r2 for each channel, 1 where either range is 0; (channels,)."""
    dead = (first == 0) | (second == 0)
    return np.where(dead, 1.0, np.sqrt(np.where(dead, 1.0, first) / np.where(dead, 1.0, second)))


def output_range(each: WeightLayer) -> Array:
    """max|W| of every output channel."""
    weight = each.layer.weight.value
    return np.asarray(np.abs(weight).reshape(-1, weight.shape[-1]).max(axis=0))


def input_range(each: WeightLayer) -> Array:
    """max|W| of every input channel."""
    weight = each.layer.by_input(each.layer.weight.value)
    return np.asarray(np.abs(weight).max(axis=tuple(i for i in range(weight.ndim) if i != weight.ndim - 2)))


def _divide_outputs(each: WeightLayer, s: Array) -> None:
    """Divide a layer's output by s: weight, bias, and the folded batch norm's memory of both moments."""
    each.layer.weight.value[...] /= s
    if each.layer.bias is not None:
        each.layer.bias.value[...] /= s
    if each.norm is not None:
        each.norm.weight.value[...] /= s
        each.norm.bias.value[...] /= s
        each.norm.running_mean[...] /= s
        each.norm.running_var[...] /= s**2


def absorb_biases(model: Model, stds: float = 3.0) -> None:
    """Move what nearly all inputs of a layer have in common into its bias. Modifies the model.

    c = max(0, β − nγ):   b1 −= c,   b2 += Σ W2 c

    A channel with mean β and standard deviation γ is above c all but always (99.87 % for n = 3), so that the
    ReLU leaves it as it is; the range of activations shrinks by c. There this is exact, except where windows
    meet padding. Batch norms must be folded first.

    Parameters
    ----------
    stds
        n ≥ 0.
    """
    check_model(model)
    n = real_number("stds", stds)
    for each in weight_layers(model):
        first = each.previous
        if first is None or first.norm is None or first.layer.bias is None or each.layer.bias is None:
            continue
        beta, gamma = first.norm.bias.value, first.norm.weight.value
        c = np.maximum(beta - n * np.abs(gamma), 0)
        first.layer.bias.value[...] -= c
        first.norm.bias.value[...] -= c
        first.norm.running_mean[...] -= c
        weight = each.layer.by_input(each.layer.weight.value)
        each.layer.bias.value[...] += c @ weight.reshape(-1, *weight.shape[-2:]).sum(axis=0)
