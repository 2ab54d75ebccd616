"""SNIP: prune at initialisation the weights that matter least to the loss of one batch."""

from typing import Any

import numpy as np

from psgd_ref.compress.pruning.prune import keep_largest, weight_indices
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model


def snip(model: Model, images: Array, labels: Any, sparsity: float) -> Model:
    """A new model that keeps the round(N(1 − sparsity)) weights of largest saliency, to be trained then.

    All weights are ranked together; of equal saliencies the first is kept. The official code prunes biases,
    too, and scores with batch norms in evaluation mode; here biases stay and the batch's own statistics are
    used, as in the training that follows.

    Parameters
    ----------
    model
        At its initial values.
    images, labels
        One batch, as `Model.loss_and_grad` takes it.

    Raises
    ------
    ValueError
        As `prune` does.

    Source
    ------
    Lee, Ajanthan, Torr 2019.
    """
    check_model(model)
    pruned = model.copy()
    pruned.set_mask(keep_largest(pruned, saliency(model, images, labels), sparsity))
    return pruned


def saliency(model: Model, images: Array, labels: Any) -> Array:
    """c_j = |w_j ∂L/∂w_j| / Σ_k |w_k ∂L/∂w_k|, shape (n,), 0 for what is not a weight.

    |w ∂L/∂w| is |∂L/∂m| at m = 1 of a factor m before the weight: what removing it does to the loss, to
    first order. The model is left as it is.

    Raises
    ------
    ValueError
        When all are 0.
    """
    probe = model.copy()
    probe.loss_and_grad(images, labels)
    scores, weights = np.zeros_like(probe.w), np.concatenate(weight_indices(probe))
    scores[weights] = connection_sensitivity(probe.w[weights], probe.g[weights])
    return scores


def connection_sensitivity(w: Array, g: Array) -> Array:
    """|w g| / Σ|w g|, elementwise, for weights and gradients of one shape.

    Raises
    ------
    ValueError
        When all are 0.
    """
    sensitivity = np.abs(w * g)
    total = sensitivity.sum()
    if total == 0:
        raise ValueError("no weight has a gradient on this batch; give another batch")
    return np.asarray(sensitivity / total)
