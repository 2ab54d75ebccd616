"""HALP: training in low precision by bit-centred, variance-reduced steps (De Sa et al. 2018).

A different question from PSGD's: here the *computation* of the steps is cheap, and the weights at the end,
centre plus offset, are full-precision numbers, which nothing prepares for rounding.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array, real_number, whole_number
from psgd_ref.data.dataset import Dataset
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model
from psgd_ref.training.divergence import DivergenceError
from psgd_ref.training.optimizers.schedules import Schedule, constant
from psgd_ref.training.recipe import Recipe

Gradient = Callable[[Array], Array]


def bit_centred_epoch(
    centre: Array,
    full: Array,
    gradients: Iterable[Gradient],
    lr: Schedule,
    bits: int,
    mu: float,
    rng: np.random.Generator,
    spans: Sequence[slice] = (slice(None),),
    first: int = 0,
) -> Array:
    """One epoch: new weights w̃ + z after an inner step for each of `gradients`.

    z ← Q(z − η (∇f_i(w̃ + z) − ∇f_i(w̃) + g̃)),   Q(x) = s · clip(⌊x/s + u⌋, −2^(b−1), 2^(b−1) − 1),
    s = ‖g̃‖/(μ (2^(b−1) − 1)), u uniform on [0, 1): unbiased inside the range

    For f of strong convexity μ or more ‖g̃‖/μ bounds the distance to the optimum: the grid covers it.

    Parameters
    ----------
    centre, full
        w̃ and g̃ = ∇f(w̃), (n,).
    gradients
        ∇f_i, functions of weights (n,).
    lr
        Rate by the number of inner steps taken, `first` before the first of these.
    bits
        Of the offset z, 2 … 16.
    mu
        μ > 0.
    spans
        Slices of w with a scale of their own.

    Source
    ------
    De Sa et al. 2018, option I; a scale for each tensor as in the public code.
    """
    top = 2 ** (whole_number("bits", bits, 2, 16) - 1)
    real_number("mu", mu, positive=True)
    scale = np.ones_like(centre)
    for span in spans:
        scale[span] = offset_scale(float(np.linalg.norm(full[span])), bits, mu) or 1.0
    z = np.zeros_like(centre)
    for k, gradient in enumerate(gradients, first):
        x = (z - lr(k) * (gradient(centre + z) - gradient(centre) + full)) / scale
        z = scale * np.clip(np.floor(x + rng.random(x.shape, dtype=x.dtype)), -top, top - 1)
    return np.asarray(centre + z)


def offset_scale(norm: float, bits: int, mu: float) -> float:
    """s = ‖g̃‖/(μ (2^(b−1) − 1)), the step of the offsets' grid."""
    return float(norm / (mu * (2 ** (bits - 1) - 1)))


def fit_halp(
    model: Model,
    data: Dataset,
    *,
    epochs: int,
    recipe: Recipe | None = None,
    seed: int = 0,
    lr: float | Schedule = 0.1,
    bits: int = 8,
    mu: float = 10.0,
) -> list[float]:
    """Train `model` by HALP, one outer iteration per epoch. Modifies `model`.

    Each tensor has a scale of its own. An inner step takes two gradients, and the centre's full gradient
    costs one more: an epoch costs three of SGD's.

    Parameters
    ----------
    epochs, seed
        As in `fit`.
    recipe
        How batches are drawn; by default `Recipe()`.
    lr
        η, or a schedule by inner steps.
    bits, mu
        As in `bit_centred_epoch`.

    Returns
    -------
    list of float
        The mean loss of each epoch.

    Raises
    ------
    DivergenceError
        When weights or the loss are not finite.
    """
    check_model(model)
    whole_number("epochs", epochs, 1)
    recipe = Recipe() if recipe is None else recipe
    label_smoothing = recipe.label_smoothing
    schedule, rng = lr if callable(lr) else constant(lr), np.random.default_rng(seed)
    spans, losses, taken = [segment.span for segment in model.segments], [], 0
    for epoch in range(epochs):
        batches = list(data.batches(rng, recipe.batch_size, recipe.augment))
        centre = model.w.copy()
        values, full = [], np.zeros_like(centre)
        for images, labels in batches:
            values.append(model.loss_and_grad(images, labels, label_smoothing))
            full += model.g * (len(labels) / len(data.train))
        with np.errstate(over="ignore", invalid="ignore"):
            gradients = [_gradient(model, *pair, label_smoothing) for pair in batches]
            model.w[...] = bit_centred_epoch(centre, full, gradients, schedule, bits, mu, rng, spans, taken)
        taken += len(batches)
        if not (np.isfinite(values).all() and np.isfinite(model.w).all()):
            raise DivergenceError(f"HALP diverged in epoch {epoch + 1}; lower lr")
        losses.append(float(np.mean(values)))
    return losses


def _gradient(model: Model, images: Array, labels: Any, label_smoothing: float) -> Gradient:
    """The gradient of a batch as a function of the weights. Modifies model.w when it is called."""

    def gradient(w: Array) -> Array:
        model.w[...] = w
        model.loss_and_grad(images, labels, label_smoothing)
        return model.g.copy()

    return gradient
