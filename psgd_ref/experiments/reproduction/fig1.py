"""Fig. 1: what rounding to few bits does to the weights and to the error, and what the weights look like."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from psgd_ref.compress import quantize
from psgd_ref.experiments.reproduction.ends import ended
from psgd_ref.experiments.reproduction.training import demonstrated, restored
from psgd_ref.experiments.store.arrays import ArrayStore

LAYER = "conv8.weight"
SHOWN_BITS = 3
BINS = 63


def run(seeds: Sequence[int], epochs: int, store: ArrayStore) -> dict[str, Any]:
    """Errors by method and width, and the first seed's histograms of one layer.

    Parameters
    ----------
    seeds, epochs
        Of the demonstration's runs.
    store : ArrayStore
        Where the results of runs are kept.

    Returns
    -------
    dict
        What `figures.paper.fig1` draws; errors are lists over seeds.
    """
    jobs = [job for seed in seeds for job in demonstrated("convnet", seed, epochs)]
    found = store.all(ended, jobs, "training")
    methods: dict[str, Any] = {}
    for job, arrays in zip(jobs, found, strict=True):
        own = methods.setdefault(job.name, {"error": [], "relative": [], "squared": []})
        for quantity, values in own.items():
            values.append(arrays[quantity].tolist())
    histograms = {}
    for job, arrays in zip(jobs, found, strict=True):
        if job.seed == seeds[0] and job.bits in (None, SHOWN_BITS):
            model = restored(job, arrays)
            tensor = quantize(model, SHOWN_BITS).quantized[LAYER]
            edge = 2 ** (SHOWN_BITS - 1) - 0.5
            places = model.segment(LAYER).view(model.w).ravel() / tensor.scale
            counts, edges = np.histogram(places, BINS, (-edge, edge))
            levels, codes = np.unique(tensor.codes, return_counts=True)
            histograms[job.name] = {
                "counts": counts.tolist(),
                "edges": edges.tolist(),
                "levels": levels.tolist(),
                "codes": codes.tolist(),
            }
    return {
        "seeds": list(seeds),
        "epochs": epochs,
        "widths": found[0]["widths"].tolist(),
        "methods": methods,
        "layer": LAYER.removesuffix(".weight"),
        "bits": SHOWN_BITS,
        "histograms": histograms,
    }
