"""The trained models of the demonstration, with their errors when rounded: what Figs. 1 and 3 show."""

from typing import Any

import numpy as np

from psgd_ref.compress import quantize
from psgd_ref.data import load_digits
from psgd_ref.experiments.reproduction.training import Job, restored, train, weights
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.store.arrays import Arrays
from psgd_ref.training import evaluate

WIDTHS = (8, 4, 3, 2)


def ended(job: Job) -> Arrays:
    """A run's weights, and by bit-width (0: full precision) its test error and the error of its weights.

    Returns
    -------
    dict of arrays
        The weights, and by bit-width `error`, 0 … 1, `squared`, the mean of (w − w̄)² over all weights that
        are rounded, in the unit of w², and `relative`, the same in units of their mean square.
    """
    model, _ = train(job)
    accuracy = evaluate(model, load_digits(), WIDTHS, reestimate=True)
    squared, relative = [0.0], [0.0]
    for bits in WIDTHS:
        rounded = quantize(model, bits)
        spans = [model.segment(name).span for name in rounded.quantized]
        before = np.concatenate([model.w[span] for span in spans]).astype(np.float64)
        after = np.concatenate([rounded.w[span] for span in spans])
        squared.append(float(np.mean((before - after) ** 2)))
        relative.append(squared[-1] / float(np.mean(before**2)))
    precisions = (FULL, *(Precision(bits) for bits in WIDTHS))
    errors = [1 - accuracy[precision.label] for precision in precisions]
    return {
        **weights(model),
        "widths": np.array([0, *WIDTHS]),
        "error": np.array(errors),
        "squared": np.array(squared),
        "relative": np.array(relative),
    }


def layers(job: Job, arrays: Arrays, bins: int) -> list[dict[str, Any]]:
    """The histogram of every layer's weights, and its number of bits.

    Parameters
    ----------
    job : Job
        The run.
    arrays : dict of arrays
        What the run ended with (`ended`).
    bins : int
        Of the histogram, over w/max|w| from −1 to 1.

    Returns
    -------
    list of dict
        "name", "bits" and "counts" for each layer.
    """
    model = restored(job, arrays)
    found = []
    for name, tensor in quantize(model, job.bits or 3).quantized.items():
        if model.segment(name).role != "weight":
            continue
        values = model.segment(name).view(model.w).ravel().astype(np.float64)
        counts, _ = np.histogram(values / np.abs(values).max(), bins, (-1.0, 1.0))
        found.append({"name": name, "bits": tensor.bits, "counts": counts.tolist()})
    return found
