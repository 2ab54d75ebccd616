"""Pruning: which weights stay, chosen by a score, and a copy of the model without the others."""

import numpy as np
import numpy.typing as npt

from psgd_ref.compress.selection import weight_segments
from psgd_ref.core.arguments import Array, choice, real_number
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model

SCOPES = ("global", "layer")


def weight_indices(model: Model) -> list[npt.NDArray[np.intp]]:
    """The indices in w of every layer's weights, one array for each layer."""
    return [np.arange(segment.start, segment.stop) for segment in weight_segments(model)]


def prune(model: Model, sparsity: float, scope: str = "global") -> Model:
    """A new model without its smallest weights; the given one stays as it is.

    Of equal weights those that come first in w are kept. Nothing is retrained; the new model's mask holds
    the pruned weights at 0 when it is trained further or quantized, and batch-norm statistics are left as
    they are (see `reestimate_batch_norm`).

    Parameters
    ----------
    model
        Unchanged.
    sparsity
        Fraction of weights to prune, 0 … 1; of N weights round(N(1 − sparsity)) are kept.
    scope
        "global" ranks all weights together, "layer" the weights of each layer by themselves.

    Raises
    ------
    ValueError
        For other values.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> sparse = pr.prune(pr.models.mlp((4, 3, 2)), sparsity=0.5)
    >>> int((~sparse.mask).sum())
    9
    """
    check_model(model)
    pruned = model.copy()
    pruned.set_mask(keep_largest(pruned, np.abs(pruned.w), sparsity, scope))
    return pruned


def prune_array(w: Array, sparsity: float) -> Array:
    """w with the fraction `sparsity` of its entries, the smallest, set to zero.

    Parameters
    ----------
    w
        Any shape.

    Source
    ------
    Claim G3.
    """
    return np.where(_largest(np.abs(w).ravel(), sparsity).reshape(w.shape), w, 0)


def keep_largest(
    model: Model, scores: Array, sparsity: float, scope: str = "global"
) -> npt.NDArray[np.bool_]:
    """The mask (n,) that keeps the round(N(1 − sparsity)) weights with the largest scores.

    N counts all weights, or those of one layer with scope "layer"; halves are rounded to even. Of equal
    scores the first is kept, so that the count is exact. What the model's mask prunes already stays pruned.
    Biases and batch norms are kept.

    Parameters
    ----------
    scores
        (n,) in the order of w, larger is better; only those of weights are looked at.

    Raises
    ------
    ValueError
        For a sparsity outside 0 … 1, scores of another shape or NaN.
    """
    if scores.shape != model.w.shape or np.isnan(scores).any():
        raise ValueError(f"scores must be numbers of shape {model.w.shape}; got NaN or shape {scores.shape}")
    layers = weight_indices(model)
    groups = layers if choice("scope", scope, SCOPES) == "layer" else [np.concatenate(layers)]
    mask = np.ones(model.w.size, bool)
    for group in groups:
        mask[group] = _largest(scores[group], sparsity)
    return mask if model.mask is None else mask & model.mask


def _largest(scores: Array, sparsity: float) -> npt.NDArray[np.bool_]:
    """The round(N(1 − sparsity)) largest of N scores, of equal ones the first."""
    if real_number("sparsity", sparsity) > 1:
        raise ValueError(f"sparsity must be a number in [0, 1]; got {sparsity!r}")
    mask = np.ones(scores.size, bool)
    kept = round(scores.size * (1 - sparsity))
    # A stable sort keeps equal scores in their order.
    mask[np.argsort(-scores, kind="stable")[kept:]] = False
    return mask
