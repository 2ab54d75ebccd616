"""Post-training quantization, each method as one function of a trained model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from psgd_ref.compress import (
    ACIQGrid,
    AdaptivFloatGrid,
    AdaRound,
    Grid,
    MinMaxGrid,
    MSEGrid,
    adaround,
    calibrated,
    dfq,
    insert_input_quantizers,
    lapq,
    quantize,
    reestimate_batch_norm,
)
from psgd_ref.compress.post_training.activations import NearestTarget, UnsignedRounding
from psgd_ref.core.arguments import Array
from psgd_ref.data import Dataset
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.shared.rows import REESTIMATED
from psgd_ref.nn import Model

# How many training images the methods that calibrate may see, and LAPQ's losses.
CALIBRATION, LAPQ_EVALUATIONS = 512, 100
# Of AdaRound, for each layer.
ADAROUND_STEPS = 300


@dataclass(frozen=True)
class Calibration:
    """Training images: some as they are, for methods that calibrate; `all`, shifted, for batch norms."""

    images: Array
    labels: npt.NDArray[np.integer]
    all: Array

    @staticmethod
    def of(data: Dataset) -> "Calibration":
        """The first images of the training part, whose order is random."""
        images = data.normalise(data.train.images[:CALIBRATION])
        return Calibration(images, data.train.labels[:CALIBRATION], recipe.training_images())


@dataclass(frozen=True)
class Variant:
    """A quantized model, with or without re-estimated batch norms, and the seconds that it took."""

    batch_norm: str
    model: Model
    seconds: float


def variants(
    method: str, model: Model, precision: Precision, calibration: Calibration, norms: Sequence[str]
) -> Iterator[Variant]:
    """The model quantized by one method, once for each treatment of its batch norms.

    Parameters
    ----------
    method : str
        Of `GRIDS` or `WHOLE`.
    model : Model
        Trained; not modified.
    precision : Precision
        Bits of weights and activations.
    calibration : Calibration
        The training images that a method may see.
    norms : sequence of str
        "as trained", "re-estimated". Where batch norms are re-estimated, that happens after the weights are
        quantized, so that activation ranges are those of the network with re-estimated statistics, and
        again at the end. LAPQ, AdaRound and DFQ set all ranges at once; batch norms are re-estimated after.

    Yields
    ------
    Variant
        In the order of `norms`.
    """
    start = perf_counter()
    whole = WHOLE[method](model, precision, calibration) if method in WHOLE else None
    shared = perf_counter() - start
    for norm in norms:
        start, fresh = perf_counter(), norm == REESTIMATED
        if whole is None:
            quantized = _by_grid(*GRIDS[method], model, precision, calibration, fresh)
        else:
            quantized = whole.copy()
        if fresh:
            reestimate_batch_norm(quantized, calibration.all)
        yield Variant(norm, quantized, shared + perf_counter() - start)


def _by_grid(
    grid: Callable[..., Grid],
    rule: str,
    correction: str,
    model: Model,
    precision: Precision,
    calibration: Calibration,
    fresh: bool,
) -> Model:
    """A grid for the weights, and a range rule for the activations."""
    quantized = quantize(model, _bits(precision), grid, correction=correction)
    if precision.activations is None:
        return quantized
    if fresh:
        reestimate_batch_norm(quantized, calibration.all)
    roundings = calibrated(quantized, calibration.images, precision.activations, rule)
    if grid is AdaptivFloatGrid:
        insert_input_quantizers(quantized, {name: _float(layer) for name, layer in roundings.items()})
    else:
        insert_input_quantizers(quantized, roundings)
    return quantized


def _float(rounding: UnsignedRounding) -> NearestTarget:
    """AdaptivFloat's values up to the same top, in as many bits (one of them an idle sign)."""
    return NearestTarget(AdaptivFloatGrid(rounding.bits).fit([rounding.top]))


def _lapq(model: Model, precision: Precision, calibration: Calibration) -> Model:
    found = lapq(
        model,
        calibration.images,
        calibration.labels,
        _bits(precision),
        precision.activations,
        LAPQ_EVALUATIONS,
    )
    return found.model


def _adaround(model: Model, precision: Precision, calibration: Calibration) -> Model:
    rounded = adaround(model, calibration.images, _bits(precision), options=AdaRound(ADAROUND_STEPS))
    if precision.activations is not None:
        insert_input_quantizers(
            rounded, calibrated(rounded, calibration.images, precision.activations, "mse")
        )
    return rounded


def _dfq(model: Model, precision: Precision, calibration: Calibration) -> Model:
    return dfq(model, _bits(precision), precision.activations)


def _bits(precision: Precision) -> int:
    if precision.weights is None:
        raise ValueError(f"post-training quantization needs bits of the weights; got {precision}")
    return precision.weights


# Grid of the weights, range rule of the activations, correction of the weights' moments.
GRIDS: dict[str, tuple[Callable[..., Grid], str, str]] = {
    "min-max": (MinMaxGrid, "max", "none"),
    "MSE": (MSEGrid, "mse", "none"),
    "ACIQ": (ACIQGrid, "aciq", "mean"),
    "AdaptivFloat": (AdaptivFloatGrid, "max", "none"),
}
WHOLE: dict[str, Callable[[Model, Precision, Calibration], Model]] = {
    "LAPQ": _lapq,
    "AdaRound": _adaround,
    "DFQ": _dfq,
}
