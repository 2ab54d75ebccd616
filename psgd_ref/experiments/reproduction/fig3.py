"""Fig. 3: the weights of every layer, with logarithmic counts."""

from collections.abc import Sequence
from typing import Any

from psgd_ref.experiments.reproduction.ends import ended, layers
from psgd_ref.experiments.reproduction.training import demonstrated
from psgd_ref.experiments.store.arrays import ArrayStore

BINS = 121


def run(seeds: Sequence[int], epochs: int, store: ArrayStore) -> dict[str, Any]:
    """Histograms of every layer of the first seed's models.

    Parameters
    ----------
    seeds, epochs
        Of the demonstration's runs; the first seed is shown.
    store : ArrayStore
        Where the results of runs are kept.
    """
    jobs = demonstrated("convnet", seeds[0], epochs)
    found = store.all(ended, jobs, "training")
    methods = {job.name: layers(job, arrays, BINS) for job, arrays in zip(jobs, found, strict=True)}
    return {"seed": seeds[0], "epochs": epochs, "bins": BINS, "methods": methods}
