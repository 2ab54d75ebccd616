"""Accuracy of a model at full precision and quantized."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import Grid, MinMaxGrid, quantize, reestimate_batch_norm
from psgd_ref.core.arguments import Array
from psgd_ref.data.dataset import Dataset, Split
from psgd_ref.nn import Model
from psgd_ref.nn.shapes import label_array

BATCH = 500


def accuracy(model: Model, images: Array, labels: npt.NDArray[np.integer]) -> float:
    """Share of images (N, H, W, C) whose largest logit is their label, 0 … 1, in evaluation mode."""
    if len(images) == 0:
        raise ValueError("images must not be empty; accuracy needs at least one")
    right = 0
    for start in range(0, len(images), BATCH):
        logits = model.forward(images[start : start + BATCH])
        chosen = label_array(labels[start : start + BATCH], len(logits), logits.shape[1])
        right += int((logits.argmax(axis=1) == chosen).sum())
    return right / len(images)


def evaluate(
    model: Model,
    data: Dataset,
    bits: Sequence[int] = (),
    split: str = "test",
    grid: Callable[..., Grid] = MinMaxGrid,
    per_channel: bool = False,
    reestimate: bool = False,
) -> dict[str, float]:
    """Accuracy (0 … 1) at full precision ("full") and with weights quantized to each width ("W4" …).

    bits       : widths 2 … 16, each quantized from full precision by `grid`
    split      : "train", "validation" or "test"
    reestimate : give every model, the full-precision one too, fresh batch-norm statistics from the
                 training images first
    Raises ValueError for other widths or another split.
    """
    if split not in ("train", "validation", "test"):
        raise ValueError(f"split must be train, validation or test; got {split!r}")
    part: Split = getattr(data, split)
    images, calibration = data.normalise(part.images), data.normalise(data.train.images)

    def measure(subject: Model) -> float:
        if reestimate:
            reestimate_batch_norm(subject, calibration)
        return accuracy(subject, images, part.labels)

    results = {"full": measure(model.copy() if reestimate else model)}
    for width in bits:
        results[f"W{width}"] = measure(quantize(model, width, grid, per_channel))
    return results
