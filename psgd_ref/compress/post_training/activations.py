"""Quantized activations: rounding before every layer with a weight, and where its range comes from."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from psgd_ref import kernels
from psgd_ref.compress.graph import weight_layers
from psgd_ref.compress.grids.aciq import half_range_clip
from psgd_ref.compress.grids.base import EMA_WEIGHT
from psgd_ref.compress.grids.mse import best_clip
from psgd_ref.compress.post_training.moments import input_signals
from psgd_ref.compress.selection import layer_bits
from psgd_ref.compress.watch import watched_inputs
from psgd_ref.core import Targets
from psgd_ref.core.arguments import Array, choice, real_number, some_images, whole_number
from psgd_ref.kernels.parts import SMALLEST_STEP
from psgd_ref.kernels.shapes import floats, shaped
from psgd_ref.nn import Layer, Model
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.model import check_model

BATCH_SIZE, SAMPLE = 128, 2**14


class UnsignedRounding(Layer):
    """x ↦ codes · scale, codes = clip(round(x/scale), 0, 2^bits − 1), scale = top/(2^bits − 1).

    The zero point is 0, ties go to the even code. Backwards the gradient passes inside the range and stops
    outside.

    Parameters
    ----------
    bits
        1 … 16.
    top
        > 0, the largest value, in the unit of x ≥ 0.
    """

    zero_point = 0

    def __init__(self, bits: int, top: float) -> None:
        self.bits = whole_number("bits", bits, 1, 16)
        self.scale = max(real_number("top", top) / self.levels, SMALLEST_STEP) if top > 0 else 1.0

    @property
    def levels(self) -> int:
        """The largest code."""
        return int(2**self.bits - 1)

    @property
    def top(self) -> float:
        """The largest value."""
        return self.levels * self.scale

    def codes(self, x: Array) -> npt.NDArray[np.uint16]:
        """The integers that x becomes, in its shape."""
        return np.asarray(np.rint(self.forward(x, False)[0] / self.scale), np.uint16)

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        y = kernels.fake_quantize(x, self.scale, 0.0, 0, self.levels)
        return y, (x >= 0) & (x <= self.top) if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        shaped("dy", dy, cache.shape)
        return np.asarray(dy * cache)


class NearestTarget(Layer):
    """x ↦ the nearest of any set of targets, such as AdaptivFloat's values; gradients pass unchanged."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        return self.targets.nearest(floats("x", x)), x.shape if training else None

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        shaped("dy", dy, cache)
        return dy


@dataclass
class Inputs:
    """What calibration images showed about one layer's input.

    Attributes
    ----------
    sample
        At most 16,384 of its values, evenly spaced.
    mean
        Of each channel, (C,).
    smallest
        Over all values.
    tops
        Largest value of each batch.
    """

    sample: Array
    mean: Array
    smallest: float
    tops: list[float] = field(default_factory=list)

    @property
    def largest(self) -> float:
        """The largest value."""
        return max(self.tops)

    @property
    def average_top(self) -> float:
        """Moving average of the batches' largest values, each new one with weight 0.1."""
        average = self.tops[0]
        for top in self.tops[1:]:
            average += EMA_WEIGHT * (top - average)
        return average


# Where the range of an unsigned grid ends: a function of the inputs and the number of bits.
RANGES: dict[str, Callable[[Inputs, int], float]] = {
    "max": lambda inputs, bits: inputs.largest,
    "ema": lambda inputs, bits: inputs.average_top,
    "mse": lambda inputs, bits: best_clip(np.maximum(inputs.sample, 0), 2**bits - 1),
    "aciq": lambda inputs, bits: half_range_clip(inputs.sample, bits),
}
BATCH_NORM = "batch-norm"
RULES = (*RANGES, BATCH_NORM)


def calibrated(model: Model, images: Array, bits: int, rule: str = "max") -> dict[str, UnsignedRounding]:
    """Unsigned rounding for the input of every layer but the first, with ranges from calibration images.

    The first layer's input, the image, stays as it is.

    Parameters
    ----------
    images
        (N, H, W, C) as the model takes them, no labels needed.
    bits
        1 … 16; below 4 the last layer's input keeps 8.
    rule
        "max" (the largest value), "ema" (moving average of the batches' largest), "mse" (least squared
        error) or "aciq" (`half_range_clip`).

    Raises
    ------
    ValueError
        For other values, and for an input that is negative somewhere: after a ReLU none is.
    """
    check_model(model)
    end = RANGES[choice("rule", rule, tuple(RANGES))]
    widths = input_bits(model, bits)
    observed = unsigned_inputs(model, images, widths)
    return {name: UnsignedRounding(width, end(observed[name], width)) for name, width in widths.items()}


def ranged(model: Model, images: Array, bits: int, rule: str = "max") -> dict[str, UnsignedRounding]:
    """`calibrated`, or `from_batch_norms` when the rule is "batch-norm", which looks at no image."""
    if choice("ranges", rule, RULES) == BATCH_NORM:
        return from_batch_norms(model, bits)
    return calibrated(model, images, bits, rule)


def unsigned_inputs(model: Model, images: Array, names: Collection[str]) -> dict[str, Inputs]:
    """What images show about the inputs of the named layers.

    Raises
    ------
    ValueError
        When one is negative somewhere.
    """
    observed = observe(model, images)
    for name in names:
        if observed[name].smallest < 0:
            low = observed[name].smallest
            raise ValueError(f"inputs of {name} must be >= 0 for unsigned grids; got {low}")
    return {name: observed[name] for name in names}


def from_batch_norms(model: Model, bits: int, stds: float = 6.0) -> dict[str, UnsignedRounding]:
    """Unsigned rounding with ranges [0, max_c (β_c + n|γ_c|)] from batch norms: no data are needed.

    Before the ReLU of a residual sum the moments of both summands are added (`input_signals`). Layers
    whose input no batch norm describes are left out.

    Parameters
    ----------
    stds
        n ≥ 0.

    Source
    ------
    Nagel et al. 2019 (DFQ); the official PSGD code, which leaves out the sums and |·|.
    """
    check_model(model)
    n, signals = real_number("stds", stds), input_signals(model)
    found: dict[str, UnsignedRounding] = {}
    for name, width in input_bits(model, bits).items():
        signal = signals[name]
        if signal is not None:
            found[name] = UnsignedRounding(width, signal.top(n))
    return found


def input_bits(model: Model, bits: int) -> dict[str, int]:
    """Bits of the input of every layer but the first, by name: 8 for the last one below 4 bits."""
    names = [each.name for each in weight_layers(model)][1:]
    width = whole_number("bits of activations", bits, 1, 16)
    return {name: layer_bits(width, outer=name == names[-1]) for name in names}


def insert_input_quantizers(model: Model, quantizers: Mapping[str, Layer]) -> None:
    """Put quantizers before layers, by the layer's name. Modifies the model.

    Raises
    ------
    ValueError
        For a name that is no layer with a weight.
    """
    check_model(model)
    layers = {each.name: each.layer for each in weight_layers(model)}
    unknown = sorted(set(quantizers) - set(layers))
    if unknown:
        raise ValueError(f"no layer {', '.join(unknown)}; those with a weight are {', '.join(layers)}")
    for name, quantizer in quantizers.items():
        layers[name].input_quantizer = quantizer
    model.lay_out_again()


def observe(model: Model, images: Array) -> dict[str, Inputs]:
    """Run the model on images in evaluation mode and record the input of every layer with a weight.

    Quantizers that it holds stay active.

    Raises
    ------
    ValueError
        For no images, and for images that are not finite.
    """
    some_images(images, "calibration")
    found = weight_layers(model)
    recorders = [_Recorder() for _ in found]
    with watched_inputs(found, recorders):
        for start in range(0, len(images), BATCH_SIZE):
            model.forward(images[start : start + BATCH_SIZE])
    return {each.name: recorder.inputs() for each, recorder in zip(found, recorders, strict=True)}


class _Recorder:
    """Records what it is shown."""

    def __init__(self) -> None:
        self.values: list[Array] = []
        self.sums: list[Array] = []
        self.counts: list[int] = []
        self.ends: list[tuple[float, float]] = []

    def __call__(self, x: Array) -> None:
        flat = x.ravel()
        self.values.append(flat[:: max(1, flat.size // SAMPLE)].copy())
        self.sums.append(x.sum(axis=tuple(range(x.ndim - 1)), dtype=np.float64))
        self.counts.append(x.size // x.shape[-1])
        self.ends.append((float(flat.min()), float(flat.max())))

    def inputs(self) -> Inputs:
        values = np.concatenate(self.values)
        sample = values[:: -(-values.size // SAMPLE)]
        mean = np.asarray(sum(self.sums) / sum(self.counts))
        return Inputs(sample, mean, min(low for low, _ in self.ends), [high for _, high in self.ends])
