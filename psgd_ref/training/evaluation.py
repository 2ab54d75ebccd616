"""Loss and accuracy of a model, at full precision and quantized."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import (
    Grid,
    MinMaxGrid,
    insert_input_quantizers,
    prune,
    quantize,
    reestimate_batch_norm,
    remove_parametrizations,
)
from psgd_ref.compress.post_training.activations import ranged
from psgd_ref.core.arguments import Array, choice, flag
from psgd_ref.data.dataset import Dataset, Split, check_data
from psgd_ref.kernels.checks import floats, label_array
from psgd_ref.nn import Model
from psgd_ref.nn.finite import check_logits, check_numbers
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.nn.model import check_model

BATCH_SIZE = 500
SPLITS = ("train", "validation", "test")
# Training images that batch norms are re-estimated on; more change their statistics little.
CALIBRATION = 5000
# Training images that show the ranges of activations.
OBSERVED = 1000

Batches = Iterable[tuple[Array, npt.NDArray[Any]]]


def score(model: Model, batches: Batches) -> tuple[float, float]:
    """Mean cross-entropy and share of images whose largest logit is their label, in evaluation mode.

    batches : images (N, H, W, C) as the model takes them and their labels (N,)
    Raises ValueError when there is no image, and `NotFiniteError`, which names the first layer to blame, when
    a weight, a statistic or a logit is not finite: there is no accuracy out of NaN.
    """
    check_model(model)
    check_numbers(model)
    count, right, loss = 0, 0, 0.0
    for images, labels in batches:
        logits = model.forward(images)
        check_logits(model, images, logits)
        chosen = label_array(labels, len(logits), logits.shape[1])
        right += int((logits.argmax(axis=1) == chosen).sum())
        loss += cross_entropy(logits, chosen)[0] * len(logits)
        count += len(logits)
    if count == 0:
        raise ValueError("images must not be empty; accuracy needs at least one")
    return loss / count, right / count


def accuracy(model: Model, images: Array, labels: npt.NDArray[np.integer]) -> float:
    """Share of images (N, H, W, C) whose largest logit is their label, 0 … 1, in evaluation mode.

    labels (N,) whole numbers. Raises ValueError for others, and as `score`.
    """
    check_model(model)
    count = len(floats("images", images)) if np.ndim(images) else 0
    if np.shape(labels) != (count,):
        raise ValueError(f"labels must be {count} whole numbers, one an image; got shape {np.shape(labels)}")
    starts = range(0, len(images), BATCH_SIZE)
    return score(model, ((images[k : k + BATCH_SIZE], labels[k : k + BATCH_SIZE]) for k in starts))[1]


def in_order(data: Dataset, split: str) -> Iterator[tuple[Array, npt.NDArray[np.intp]]]:
    """A part of a data set in batches, normalised one at a time: floats take four times the memory.

    split : "train", "validation" or "test"; ValueError for another
    """
    part: Split = getattr(data, choice("split", split, SPLITS))
    for start in range(0, len(part), BATCH_SIZE):
        yield data.normalise(part.images[start : start + BATCH_SIZE]), part.labels[start : start + BATCH_SIZE]


def evaluate(
    model: Model,
    data: Dataset,
    bits: Sequence[int] = (),
    split: str = "test",
    grid: Callable[..., Grid] = MinMaxGrid,
    per_channel: bool = False,
    reestimate: bool = False,
    activations: Sequence[int] = (),
    sparsities: Sequence[float] = (),
    scope: str = "global",
    ranges: str = "max",
) -> dict[str, float]:
    """Accuracy (0 … 1) at full precision ("full") and with weights ("W4") or activations ("A8") rounded.

    After pruning, too: "S90" is the model without the 90 % smallest weights, "S90W4" that one rounded. A
    model that learned its grid is rounded from the weights that this gives.

    bits        : widths of weights, 2 … 16, each quantized from full precision by `grid`
    split       : "train", "validation" or "test"
    reestimate  : give every model, the full-precision one too, fresh batch-norm statistics from the
                  first 5,000 training images first
    activations : widths of the layers' inputs, 1 … 16, on unsigned grids
    ranges      : where these end: "max", "ema", "mse" or "aciq" of the first 1,000 training images (see
                  `calibrated`), or "batch-norm", which looks at none (see `from_batch_norms`)
    sparsities  : shares of weights to prune by magnitude, 0 … 1;   scope : "global" or "layer", see `prune`
    Raises ValueError for other widths or another split.
    """
    check_model(model)
    check_data(data)
    choice("split", split, SPLITS)
    flag("per_channel", per_channel)
    flag("reestimate", reestimate)
    model = remove_parametrizations(model)
    pruned = {f"S{100 * share:g}": prune(model, share, scope) for share in sparsities}
    subjects: dict[str, Model] = {}
    for name, whole in {"": model, **pruned}.items():
        subjects[name] = whole
        subjects |= {f"{name}W{width}": quantize(whole, width, grid, per_channel) for width in bits}
    results: dict[str, float] = {}
    for name, subject in subjects.items():
        if reestimate:
            reestimate_batch_norm(subject, data.normalise(data.train.images[:CALIBRATION]))
        results[name or "full"] = score(subject, in_order(data, split))[1]
        for width in activations:
            observed = data.normalise(data.train.images[:OBSERVED])
            both = subject.copy()
            insert_input_quantizers(both, ranged(subject, observed, width, ranges))
            results[f"{name}A{width}"] = score(both, in_order(data, split))[1]
    return results
