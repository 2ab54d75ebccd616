"""What quantization did to each layer, as text."""

from dataclasses import dataclass

import numpy as np

from psgd_ref.compress.parametrization import remove_parametrizations
from psgd_ref.compress.post_training.quantize import QuantizedModel
from psgd_ref.compress.post_training.tensor import QuantizedTensor
from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model
from psgd_ref.nn.model import check_model


@dataclass(frozen=True)
class LayerReport:
    """One quantized parameter; a range of two numbers where channels differ.

    Attributes
    ----------
    step
        Δ, or the gaps of an uneven grid.
    distance
        Mean |w − Q(w)|, in the unit of the weights.
    clipped
        Fraction of weights beyond the outermost level by more than rounding error, 0 … 1.
    error
        Mean of (w − Q(w))² relative to Δ²/12; 1 for weights uniform in their cells.
    strength
        λ* = 8/Δ, the strength that keeps the volume of a cell at ε = 0 (claim C3).
    codes
        The least and the largest integer, and how many distinct ones there are.
    """

    name: str
    shape: tuple[int, ...]
    bits: int
    step: tuple[float, float]
    distance: float
    clipped: float
    error: float
    strength: tuple[float, float]
    codes: tuple[int, int, int]


def layer_reports(model: Model, quantized: QuantizedModel) -> list[LayerReport]:
    """One report for each quantized parameter.

    Parameters
    ----------
    model
        The one before quantization.
    """
    found, plain = [], remove_parametrizations(model)
    for name, tensor in quantized.quantized.items():
        w = plain.segment(name).view(plain.w).astype(np.float64)
        gaps = _gaps(tensor)
        step = (float(gaps.min()), float(gaps.max()))
        different = np.unique(tensor.codes)
        error = (w - tensor.values) ** 2 / tensor.uniform_variance
        found.append(
            LayerReport(
                name,
                w.shape,
                tensor.bits,
                step,
                float(np.abs(w - tensor.values).mean()),
                float((np.abs(w) > _outermost(tensor) * (1 + 1e-6)).mean()),
                float(error.mean()),
                (8 / step[1], 8 / step[0]),
                (int(different[0]), int(different[-1]), different.size),
            )
        )
    return found


def report(model: Model, quantized: QuantizedModel) -> str:
    """`layer_reports` as a Markdown table, and under it how to get the weights back from the integers."""
    check_model(model)
    heads = [
        "parameter",
        "shape",
        "bits",
        "codes",
        "used",
        "Δ",
        "mean d",
        "clipped",
        "MSE/(Δ²/12)",
        "λ* = 8/Δ",
    ]
    lines = ["| " + " | ".join(heads) + " |", "|---|---|" + "---:|" * (len(heads) - 2)]
    for layer in layer_reports(model, quantized):
        low, high, used = layer.codes
        cells = [layer.name, "×".join(map(str, layer.shape)), str(layer.bits), f"{low}..{high}", str(used)]
        cells += [
            _range(layer.step),
            f"{layer.distance:.4g}",
            f"{layer.clipped:.1%}",
            f"{layer.error:.2f}",
            _range(layer.strength),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "w = (codes - zero_point) * scale, or levels[codes - lowest] on an uneven grid; zero_point is 0.",
    ]
    return "\n".join(lines)


def _gaps(tensor: QuantizedTensor) -> Array:
    """Every distance between neighbouring levels."""
    scale = tensor.scale.astype(np.float64)
    return scale if tensor.levels is None else np.diff(tensor.levels.astype(np.float64), axis=-1)


def _outermost(tensor: QuantizedTensor) -> Array:
    """The largest magnitude that the grid has, () or (channels,)."""
    if tensor.levels is not None:
        return np.asarray(np.abs(tensor.levels).max(axis=-1).astype(np.float64))
    return np.asarray(tensor.scale.astype(np.float64) * (2 ** (tensor.bits - 1) - 1))


def _range(values: tuple[float, float]) -> str:
    low, high = (f"{value:.4g}" for value in values)
    return low if low == high else f"{low}..{high}"
