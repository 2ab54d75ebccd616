"""LAPQ, loss-aware post-training quantization: clips chosen jointly, by the calibration loss itself.

Source: Nahshan et al. 2020, and its official code.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from psgd_ref.compress.grids.base import ClipGrid, Grid
from psgd_ref.compress.grids.min_max import MinMaxGrid
from psgd_ref.compress.grids.mse import PNormGrid, best_clip
from psgd_ref.compress.post_training.activations import (
    UnsignedRounding,
    input_bits,
    insert_input_quantizers,
    unsigned_inputs,
)
from psgd_ref.compress.post_training.quantize import QuantizedModel
from psgd_ref.compress.selection import assign
from psgd_ref.core.arguments import Array, some_images, whole_number
from psgd_ref.nn import Model
from psgd_ref.nn.functional import cross_entropy
from psgd_ref.nn.model import check_model

POWERS = tuple(np.linspace(2, 4, 10))
# The search moves each clip between these multiples of its start, and to this accuracy.
LOWEST, HIGHEST, ACCURACY = 0.3, 2.0, 0.02
# Layers with as many bits as this keep their first clip: there is next to nothing to gain.
FINE_BITS = 8
BATCH_SIZE = 512


@dataclass(frozen=True)
class LAPQ:
    """What the three steps found: the model, and the calibration loss after each.

    Attributes
    ----------
    grids
        Of the weights, by parameter name: also targets to train towards, `PSGD(grid=found.grids)`.
    losses
        At each p of `POWERS`.
    p
        The chosen one.
    start
        Loss at p.
    end
        Loss after the joint search.
    evaluations
        How many losses it looked at.
    """

    model: QuantizedModel
    grids: dict[str, Grid]
    losses: tuple[float, ...]
    p: float
    start: float
    end: float
    evaluations: int


def lapq(
    model: Model,
    images: Array,
    labels: npt.NDArray[np.integer],
    bits: int = 4,
    activation_bits: int | None = None,
    evaluations: int = 40,
    correction: str = "mean",
) -> LAPQ:
    """Quantize weights, and activations if asked, with the clips that a joint search finds best.

    1. For each p in 2 … 4 every layer's clip minimises Σ |x − Q(x)|^p by itself.
    2. A parabola through the calibration losses at these p; p* is its vertex (the best p where it has none
       inside 2 … 4, or where its vertex is worse).
    3. Powell's method on all clips together, from those of p*, on the calibration loss.

    Parameters
    ----------
    images, labels
        Calibration images (N, H, W, C) as the model takes them, and their labels (N,).
    bits
        Of the weights; below 4 the first and last layer keep 8.
    activation_bits
        Of every layer's input but the first; None leaves activations as they are.
    evaluations
        Losses that step 3 may look at, 0 for none. Each costs one run over the images, and a sweep
        over all clips about ten for each; layers of 8 bits and more keep theirs.
    correction
        Of the weights' means, as in `quantize`.

    Raises
    ------
    ValueError
        For other values, for no images, and for images that are not finite.
    """
    check_model(model)
    some_images(images, "LAPQ")
    problem = _Problem(model, images, labels, bits, activation_bits, correction)
    budget = whole_number("evaluations", evaluations, 0)
    losses = [problem.loss(problem.start(float(p))) for p in POWERS]
    best = int(np.argmin(losses))
    p, clips, loss = float(POWERS[best]), problem.start(float(POWERS[best])), losses[best]
    vertex = parabola_vertex(np.array(POWERS), np.array(losses))
    if vertex is not None and (at_vertex := problem.loss(problem.start(vertex))) <= loss:
        p, clips, loss = vertex, problem.start(vertex), at_vertex
    end_clips, end, used = problem.search(clips, loss, budget)
    return LAPQ(problem.quantized(end_clips), problem.grids(end_clips), tuple(losses), p, loss, end, used)


def parabola_vertex(x: Array, y: Array) -> float | None:
    """Where the least-squares parabola through (x, y) is smallest; None unless that is inside the x."""
    a, b, _ = np.polyfit(x, y, 2)
    if a <= 0:
        return None
    vertex = float(-b / (2 * a))
    return vertex if x.min() <= vertex <= x.max() else None


class _Problem:
    """The calibration loss as a function of the clips of all layers, weights first, then inputs."""

    def __init__(
        self,
        model: Model,
        images: Array,
        labels: npt.NDArray[np.integer],
        bits: int,
        activation_bits: int | None,
        correction: str,
    ) -> None:
        self.model, self.images, self.labels, self.correction = model, images, labels, correction
        self.subject = QuantizedModel(model, {})
        self.weights = {segment.name: rule.bits or 0 for segment, rule in assign(model, MinMaxGrid(bits))}
        self.inputs = {} if activation_bits is None else input_bits(model, activation_bits)
        observed = unsigned_inputs(model, images, self.inputs) if self.inputs else {}
        self.samples = {name: inputs.sample for name, inputs in observed.items()}

    def start(self, p: float) -> Array:
        """The clips that are best for each layer by itself in the p-norm."""
        weights = [
            PNormGrid(bits, p=p).fit(self.model.segment(name).view(self.model.w))
            for name, bits in self.weights.items()
        ]
        inputs = [best_clip(self.samples[name], 2**bits - 1, p) for name, bits in self.inputs.items()]
        return np.array([grid.step * (grid.levels or 1) for grid in weights] + inputs)

    def grids(self, clips: Array) -> dict[str, Grid]:
        """The rules with these clips, by parameter name."""
        pairs = zip(self.weights.items(), clips.tolist(), strict=False)
        return {name: ClipGrid(bits, clip=clip) for (name, bits), clip in pairs}

    def quantized(self, clips: Array) -> QuantizedModel:
        """The model with these clips, always the same object: copies would take a sixth of the search."""
        self.subject.round(self.model, self.grids(clips), self.correction)
        pairs = zip(self.inputs.items(), clips[len(self.weights) :].tolist(), strict=True)
        insert_input_quantizers(
            self.subject, {name: UnsignedRounding(bits, top) for (name, bits), top in pairs}
        )
        return self.subject

    def loss(self, clips: Array) -> float:
        """Mean cross-entropy of the calibration images."""
        model, total = self.quantized(clips), 0.0
        for start in range(0, len(self.images), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            labels = self.labels[batch]
            total += cross_entropy(model.forward(self.images[batch]), labels)[0] * len(labels)
        return total / len(self.images)

    def search(self, start: Array, loss: float, budget: int) -> tuple[Array, float, int]:
        """Powell's method on multiples of the starting clips; the best clips seen, their loss, the cost."""
        widths = np.array([*self.weights.values(), *self.inputs.values()])
        free = (widths < FINE_BITS) & (start > 0)
        best, least, used = start, loss, 0
        if budget == 0 or not free.any():
            return best, least, used

        def objective(multiples: Array) -> float:
            nonlocal best, least, used
            clips = start.copy()
            clips[free] *= multiples
            used += 1
            value = self.loss(clips)
            if value < least:
                best, least = clips, value
            return value

        scipy.optimize.minimize(
            objective,
            np.ones(int(free.sum())),
            method="Powell",
            bounds=[(LOWEST, HIGHEST)] * int(free.sum()),
            options={"maxfev": budget, "xtol": ACCURACY, "ftol": 1e-3},
        )
        return best, least, used
