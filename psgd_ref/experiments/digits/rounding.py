"""What the site's playground shows: one layer's weights, and accuracy by bits and clipping."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import quantize
from psgd_ref.compress.grids.base import UniformRule
from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array, real_array, real_number
from psgd_ref.experiments.digits import recipe, study
from psgd_ref.experiments.digits.study import LAYER, Run
from psgd_ref.experiments.shared.workers import run_all
from psgd_ref.interop.whole_file import write_json
from psgd_ref.nn import Model
from psgd_ref.training.evaluation import accuracies

BITS = (2, 3, 4, 5, 6, 8)
# Where the grid ends, in parts of the largest weight of each tensor.
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
# Significant digits of the stored weights: more than a picture can show.
DIGITS = 4


@dataclass(frozen=True)
class ClippedGrid(UniformRule):
    """Δ = share · max|w| / (2^(b−1) − 1): the min-max grid, ending at a share of the largest weight.

    Parameters
    ----------
    bits, per_channel
        As for `MinMaxGrid`, which is the share 1.
    share
        In (0, 1].
    """

    share: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        real_number("share", self.share, positive=True)

    def fit(self, w: npt.ArrayLike) -> UniformGrid:
        """The grid of a tensor, taken as a whole."""
        return self.with_range(self.share * float(np.abs(real_array("w", w)).max(initial=0.0)))


@dataclass(frozen=True)
class Rounded:
    """One run: test accuracies (0 … 1) by share and bits, at full precision, and the layer's weights."""

    accuracy: Array
    full: float
    weights: Array


def run(seeds: Sequence[int], workers: int | None = None) -> dict[str, Any]:
    """Train every method of the demonstration and measure it on every grid.

    Returns
    -------
    dict
        Plain values: accuracies in per cent, mean and standard deviation over seeds, `[share][bits]`; the
        weights of one layer of the first seed's model.
    """
    options = recipe.chosen_options()
    jobs = [Run(m, options[m.name], seed, "test") for m in recipe.METHODS for seed in seeds]
    found = run_all(measure, jobs, workers, "training", study.warm_ups(jobs[0]))
    methods = []
    for method in recipe.METHODS:
        own = [rounded for job, rounded in zip(jobs, found, strict=True) if job.method == method]
        methods.append({"name": method.name, **_numbers(own), "weights": _digits(own[0].weights)})
    return {"seeds": list(seeds), "layer": LAYER, "bits": BITS, "shares": SHARES, "methods": methods}


def measure(job: Run) -> Rounded:
    """Train one model and round it to every grid, batch norms re-estimated."""
    model = study.train(job)
    data = recipe.data()
    rounded = {
        f"{share} {bits}": quantize(model, bits, partial(ClippedGrid, share=share))
        for share in SHARES
        for bits in BITS
    }
    full, *found = accuracies(
        {"full": model.copy(), **rounded}, data, split=job.split, reestimate=True
    ).values()
    return Rounded(np.reshape(found, (len(SHARES), len(BITS))), full, layer_weights(model))


def layer_weights(model: Model) -> Array:
    """The weights that the histogram is of."""
    return model.segment(LAYER).view(model.w).ravel()


def save(result: dict[str, Any], folder: Path) -> Path:
    """Write `rounding.json` into a folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rounding.json"
    write_json(path, result)
    return path


def _numbers(runs: Sequence[Rounded]) -> dict[str, Any]:
    accuracy = 100 * np.stack([rounded.accuracy for rounded in runs])
    full = 100 * np.array([rounded.full for rounded in runs])
    ddof = 1 if len(runs) > 1 else 0
    return {
        "full": [round(float(full.mean()), 1), round(float(full.std(ddof=ddof)), 1)],
        "accuracy": accuracy.mean(axis=0).round(1).tolist(),
        "spread": accuracy.std(axis=0, ddof=ddof).round(1).tolist(),
    }


def _digits(weights: Array) -> list[float]:
    return [float(f"{w:.{DIGITS}g}") for w in weights]
