"""Loss and accuracy of a model, at full precision and quantized."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
from psgd_ref.compress.grids.base import check_rule
from psgd_ref.compress.post_training.activations import RULES, ranged
from psgd_ref.compress.pruning.prune import SCOPES
from psgd_ref.core.arguments import Array, choice, whole_numbers
from psgd_ref.data.dataset import Dataset, Split, check_data
from psgd_ref.kernels.shapes import floats, label_array
from psgd_ref.nn import Model
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.nn.model import check_model
from psgd_ref.training.finite import check_logits, check_numbers

BATCH_SIZE = 500
SPLITS = ("train", "validation", "test")
# Training images that batch norms are re-estimated on; more change their statistics little.
CALIBRATION = 5000
# Training images that show the ranges of activations.
OBSERVED = 1000

Batches = Iterable[tuple[Array, npt.NDArray[Any]]]


def score(model: Model, batches: Batches) -> tuple[float, float]:
    """Mean cross-entropy and fraction of images whose largest logit is their label, in evaluation mode.

    Parameters
    ----------
    batches
        Images (N, H, W, C) as the model takes them and their labels (N,).

    Raises
    ------
    ValueError
        When there is no image.
    NotFiniteError
        When a weight, a statistic or a logit is not finite, since NaN has no accuracy. A ValueError, too; it
        names the first layer to blame.
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
    """Fraction of images (N, H, W, C) whose largest logit is their label, 0 … 1, in evaluation mode.

    labels (N,) whole numbers. Raises ValueError for others, and as `score`.
    """
    check_model(model)
    count = len(floats("images", images)) if np.ndim(images) else 0
    if np.shape(labels) != (count,):
        raise ValueError(f"labels must be {count} whole numbers, one an image; got shape {np.shape(labels)}")
    starts = range(0, len(images), BATCH_SIZE)
    return score(model, ((images[k : k + BATCH_SIZE], labels[k : k + BATCH_SIZE]) for k in starts))[1]


def in_order(data: Dataset, split: str) -> Iterator[tuple[Array, npt.NDArray[np.intp]]]:
    """A split of a data set in batches, normalised one at a time: floats take four times the memory.

    Parameters
    ----------
    split
        "train", "validation" or "test"; ValueError for another.
    """
    chosen: Split = getattr(data, choice("split", split, SPLITS))
    for start in range(0, len(chosen), BATCH_SIZE):
        batch = slice(start, start + BATCH_SIZE)
        yield data.normalise(chosen.images[batch]), chosen.labels[batch]


def evaluate(
    model: Model,
    data: Dataset,
    bits: Sequence[int] = (),
    *,
    split: str = "test",
    grid: Callable[..., Grid] = MinMaxGrid,
    per_channel: bool = False,
    reestimate: bool = False,
    activations: Sequence[int] = (),
    sparsities: Sequence[float] = (),
    scope: str = "global",
    ranges: str = "max",
) -> dict[str, float]:
    """Accuracy at full precision ("full") and with weights ("W4") or activations ("A8") rounded.

    After pruning, too: "S90" is the model without the 90 % smallest weights, "S90W4" that one rounded. Models
    with fake quantizers are first folded; the folded weights are then quantized.

    Parameters
    ----------
    model
        Unchanged.
    data
        With images that the model takes.
    bits
        Bit-widths of the weights, 2 … 16, each quantized from full precision by `grid`.
    split
        "train", "validation" or "test".
    grid, per_channel
        As in `quantize`.
    reestimate
        Give every model, the full-precision one too, fresh batch-norm statistics first: those of the first
        5,000 training images, changed at random as in training (`model.augment`). On images that a model has
        fitted, unchanged, its statistics differ from those on new ones.
    activations
        Bit-widths of the layers' inputs, 1 … 16, on unsigned grids.
    ranges
        Where these end: "max", "ema", "mse" or "aciq" of the first 1,000 training images (see
        `calibrated`), or "batch-norm", which looks at none (see `from_batch_norms`); always measured in the
        model whose inputs are rounded.
    sparsities
        Fractions of weights to prune by magnitude, 0 … 1.
    scope
        "global" or "layer", see `prune`.

    Returns
    -------
    dict
        Accuracy, 0 … 1, by name.

    Raises
    ------
    ValueError
        For bit-widths or a split that are not accepted.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> model = pr.models.mlp((2, 8, 2))
    >>> list(pr.evaluate(model, pr.load("moons"), bits=[8, 4]))
    ['full', 'W8', 'W4']
    """
    check_model(model)
    check_data(data)
    choice("split", split, SPLITS)
    choice("scope", scope, SCOPES)
    choice("ranges", ranges, RULES)
    check_rule(grid)
    bits, activations = whole_numbers("bits", bits, 2, 16), whole_numbers("activations", activations, 1, 16)
    models = variants(model, bits, grid=grid, per_channel=per_channel, sparsities=sparsities, scope=scope)
    return accuracies(
        models, data, split=split, reestimate=reestimate, activations=activations, ranges=ranges
    )


def variants(
    model: Model,
    bits: Sequence[int] = (),
    *,
    grid: Callable[..., Grid] = MinMaxGrid,
    per_channel: bool = False,
    sparsities: Sequence[float] = (),
    scope: str = "global",
) -> dict[str, Model]:
    """The models that `evaluate` measures, by name: "full", "W4", "S90", "S90W4"; arguments as there.

    All are copies, without parametrizations. Quantized ones are a `QuantizedModel`.

    Raises
    ------
    ValueError
        For bit-widths or sparsities that are not accepted.
    """
    whole = remove_parametrizations(model)
    pruned = {f"S{100 * fraction:g}": prune(whole, fraction, scope) for fraction in sparsities}
    found: dict[str, Model] = {}
    for name, dense in {"": whole, **pruned}.items():
        found[name or "full"] = dense
        found |= {f"{name}W{width}": quantize(dense, width, grid, per_channel) for width in bits}
    return found


def accuracies(
    models: Mapping[str, Model],
    data: Dataset,
    *,
    split: str = "test",
    reestimate: bool = False,
    activations: Sequence[int] = (),
    ranges: str = "max",
) -> dict[str, float]:
    """Accuracy of each model, 0 … 1, and with its activations rounded; arguments as in `evaluate`.

    With `reestimate` the models' batch-norm statistics are changed.
    """
    results: dict[str, float] = {}
    for name, subject in models.items():
        if reestimate:
            reestimate_batch_norm(subject, data.as_trained(CALIBRATION, subject.augment))
        results[name] = score(subject, in_order(data, split))[1]
        for width in activations:
            observed = data.normalise(data.train.images[:OBSERVED])
            both = subject.copy()
            insert_input_quantizers(both, ranged(subject, observed, width, ranges))
            results[f"{name.removesuffix('full')}A{width}"] = score(both, in_order(data, split))[1]
    return results
