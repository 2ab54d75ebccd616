"""Means and variances of every layer's input, from batch norms alone: no data are needed.

A batch norm's output has mean β and deviation |γ| in every channel; a normal law is assumed. Source:
Nagel et al. 2019 (DFQ); the sums of residual blocks are ours.
"""

from dataclasses import dataclass

import numpy as np
import scipy

from psgd_ref.compress.graph import below
from psgd_ref.core.arguments import Array
from psgd_ref.nn import (
    AvgPool2d,
    BatchNorm,
    GlobalAvgPool,
    Layer,
    MaxPool2d,
    Model,
    ReLU,
    Residual,
    Sequential,
    Weighted,
)


@dataclass(frozen=True)
class Signal:
    """A normal variable for each channel, and whether a ReLU has cut it off at zero.

    mean, deviation : before the ReLU, (channels,)
    """

    mean: Array
    deviation: Array
    rectified: bool = False

    def moments(self) -> tuple[Array, Array]:
        """Mean and variance of what is passed on, (channels,) each."""
        if not self.rectified:
            return self.mean, self.deviation**2
        return rectified_moments(self.mean, self.deviation)

    def top(self, deviations: float) -> float:
        """The largest mean + n·deviation over channels, at least 0: a range that few values exceed."""
        return max(float((self.mean + deviations * self.deviation).max()), 0.0)


def rectified_moments(mean: Array, deviation: Array) -> tuple[Array, Array]:
    """Mean and variance of max(z, 0), z normal: any shape.

    E = σφ(μ/σ) + μΦ(μ/σ),   E[max(z, 0)²] = (μ² + σ²)Φ(μ/σ) + μσφ(μ/σ);   μ itself, cut at 0, for σ = 0
    """
    mean, deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
    ratio = np.divide(mean, deviation, out=np.where(mean < 0, -np.inf, np.inf), where=deviation > 0)
    density, below_it = np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi), scipy.special.ndtr(ratio)
    first = deviation * density + mean * below_it
    second = (mean**2 + deviation**2) * below_it + mean * deviation * density
    return first, np.maximum(second - first**2, 0.0)


def input_signals(model: Model) -> dict[str, Signal | None]:
    """The signal that enters each layer with a weight, by its name; None where no batch norm tells.

    Pooling passes a signal on as it is (a maximum raises the mean, an average lowers the deviation).
    """
    found: dict[str, Signal | None] = {}
    _walk(model.net, "", None, found)
    return found


def _walk(layer: Layer, name: str, signal: Signal | None, found: dict[str, Signal | None]) -> Signal | None:
    if isinstance(layer, Sequential):
        for child, inner in layer.layers.items():
            signal = _walk(inner, below(name, child), signal, found)
        return signal
    if isinstance(layer, Residual):
        _walk(layer.body, name, signal, found)
        side = signal
        if layer.shortcut is not None:
            side = _walk(layer.shortcut, below(name, "downsample"), signal, found)
        return None if side is None else _normed(layer.norm, side)
    if isinstance(layer, Weighted):
        found[name] = signal
        return None
    if isinstance(layer, BatchNorm):
        return _normed(layer, None)
    if isinstance(layer, ReLU):
        return None if signal is None else Signal(signal.mean, signal.deviation, True)
    return signal if isinstance(layer, MaxPool2d | AvgPool2d | GlobalAvgPool) else None


def _normed(norm: BatchNorm, residual: Signal | None) -> Signal:
    """The output of a batch norm, and what is added to it before the ReLU as if it were independent."""
    mean = norm.bias.value.astype(np.float64)
    variance = norm.weight.value.astype(np.float64) ** 2
    if residual is not None:
        side_mean, side_variance = residual.moments()
        mean, variance = mean + side_mean, variance + side_variance
    return Signal(mean, np.sqrt(variance), norm.relu)
