"""Cross-layer equalisation and bias absorption: the same function with ranges that are easier to quantize.

Source: Nagel et al. 2019 (DFQ).
"""

import numpy as np

from psgd_ref.compress.graph import Link, links
from psgd_ref.core.arguments import Array, real_number, whole_number
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model

# Sweeps end when no channel would be scaled by more than this share.
TOLERANCE = 1e-3


def equalize(model: Model, sweeps: int = 100) -> None:
    """Scale neighbouring layers until every channel has the same range in both. Modifies the model.

    s_i = √(r1_i r2_i)/r2_i:   W1[…, i] /= s_i,   b1_i /= s_i,   W2[…, i, :] *= s_i

    r1_i, r2_i : max|·| of output channel i of one layer and of input channel i of the next; both become
    √(r1_i r2_i). The function stays: between the two stand only layers with h(cx) = c h(x). Wants
    folded batch norms (`fold_batch_norms`), which are scaled along; sweeps over all pairs, at most so many.
    """
    check_model(model)
    pairs = [(link.previous, link) for link in links(model) if link.previous is not None]
    for _ in range(whole_number("sweeps", sweeps, 1)):
        largest = 0.0
        for first, second in pairs:
            s = equalising_scale(output_range(first), input_range(second))
            _divide_outputs(first, s)
            second.layer.weight.value[...] *= s[:, None]
            largest = max(largest, float(np.abs(np.log(s)).max()))
        if largest < TOLERANCE:
            return


def equalising_scale(first: Array, second: Array) -> Array:
    """s = √(r1 r2)/r2 for each channel, 1 where either range is 0; (channels,)."""
    dead = (first == 0) | (second == 0)
    return np.where(dead, 1.0, np.sqrt(np.where(dead, 1.0, first) / np.where(dead, 1.0, second)))


def output_range(link: Link) -> Array:
    """max|W| of every output channel."""
    weight = link.layer.weight.value
    return np.asarray(np.abs(weight).reshape(-1, weight.shape[-1]).max(axis=0))


def input_range(link: Link) -> Array:
    """max|W| of every input channel."""
    weight = link.layer.weight.value
    return np.asarray(np.abs(weight).max(axis=tuple(i for i in range(weight.ndim) if i != weight.ndim - 2)))


def _divide_outputs(link: Link, s: Array) -> None:
    """Divide a layer's output by s: weight, bias, and the folded batch norm's memory of both moments."""
    link.layer.weight.value[...] /= s
    if link.layer.bias is not None:
        link.layer.bias.value[...] /= s
    if link.norm is not None:
        link.norm.weight.value[...] /= s
        link.norm.bias.value[...] /= s
        link.norm.running_mean[...] /= s
        link.norm.running_var[...] /= s**2


def absorb_biases(model: Model, deviations: float = 3.0) -> None:
    """Move what nearly all inputs of a layer have in common into its bias. Modifies the model.

    c = max(0, β − nγ):   b1 −= c,   b2 += Σ W2 c

    A channel with mean β and deviation γ is above c all but always (99.87 % for n = 3), so that the ReLU
    does not notice; the range of activations shrinks by c. Exact there, but for the zeros of padding at
    the borders. Wants folded batch norms. deviations : n ≥ 0
    """
    check_model(model)
    n = real_number("deviations", deviations)
    for link in links(model):
        first = link.previous
        if first is None or first.norm is None or first.layer.bias is None or link.layer.bias is None:
            continue
        beta, gamma = first.norm.bias.value, first.norm.weight.value
        c = np.maximum(beta - n * np.abs(gamma), 0)
        first.layer.bias.value[...] -= c
        first.norm.bias.value[...] -= c
        first.norm.running_mean[...] -= c
        weight = link.layer.weight.value
        link.layer.bias.value[...] += c @ weight.reshape(-1, *weight.shape[-2:]).sum(axis=0)
