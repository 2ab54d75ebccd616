"""Means and variances of every layer's input, from batch norms alone: no data are needed.

A batch norm's output has mean β and standard deviation |γ| in every channel; a normal distribution is
assumed. Source: Nagel et al. 2019 (DFQ); the sums of residual blocks are ours.
"""

from dataclasses import dataclass

import numpy as np
import scipy

from psgd_ref.compress.walk import Walk
from psgd_ref.core.arguments import Array
from psgd_ref.nn import (
    AvgPool2d,
    BatchNorm,
    Dropout,
    GlobalAvgPool,
    Layer,
    MaxPool2d,
    Model,
    ReLU,
    Residual,
    Weighted,
)


@dataclass(frozen=True)
class Signal:
    """A normal variable for each channel, and whether a ReLU has cut it off at zero.

    Attributes
    ----------
    mean, std
        Before the ReLU, (channels,).
    """

    mean: Array
    std: Array
    rectified: bool = False

    def moments(self) -> tuple[Array, Array]:
        """Mean and variance of what is passed on, (channels,) each."""
        if not self.rectified:
            return self.mean, self.std**2
        return rectified_moments(self.mean, self.std)

    def top(self, stds: float) -> float:
        """The largest mean + n·std over the channels, at least 0: a range that few values exceed."""
        return max(float((self.mean + stds * self.std).max()), 0.0)


def rectified_moments(mean: Array, std: Array) -> tuple[Array, Array]:
    """Mean and variance of max(z, 0), z normal.

    E = σφ(μ/σ) + μΦ(μ/σ),   E[max(z, 0)²] = (μ² + σ²)Φ(μ/σ) + μσφ(μ/σ);   μ itself, cut at 0, for σ = 0

    Parameters
    ----------
    mean, std
        μ and σ of z, any shape.
    """
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    ratio = np.divide(mean, std, out=np.where(mean < 0, -np.inf, np.inf), where=std > 0)
    density, below_it = np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi), scipy.special.ndtr(ratio)
    first = std * density + mean * below_it
    second = (mean**2 + std**2) * below_it + mean * std * density
    return first, np.maximum(second - first**2, 0.0)


def input_signals(model: Model) -> dict[str, Signal | None]:
    """The signal that enters each layer with a weight, by its name; None if no batch norm precedes the layer.

    Pooling passes a signal on as it is (a maximum raises the mean, an average lowers the standard deviation).
    """
    walk = _Signals()
    walk.through(model.net, "", None)
    return walk.found


class _Signals(Walk[Signal | None]):
    def __init__(self) -> None:
        self.found: dict[str, Signal | None] = {}

    def leaf(self, layer: Layer, name: str, known: Signal | None) -> Signal | None:
        if isinstance(layer, Weighted):
            self.found[name] = known
            return None
        if isinstance(layer, BatchNorm):
            return _normed(layer, None)
        if isinstance(layer, ReLU):
            return None if known is None else Signal(known.mean, known.std, True)
        return known if isinstance(layer, MaxPool2d | AvgPool2d | GlobalAvgPool | Dropout) else None

    def join(self, block: Residual, main: Signal | None, side: Signal | None) -> Signal | None:
        return None if side is None else _normed(block.norm, side)


def _normed(norm: BatchNorm, residual: Signal | None) -> Signal:
    """The output of a batch norm, and what is added to it before the ReLU as if it were independent."""
    mean = norm.bias.value.astype(np.float64)
    variance = norm.weight.value.astype(np.float64) ** 2
    if residual is not None:
        side_mean, side_variance = residual.moments()
        mean, variance = mean + side_mean, variance + side_variance
    return Signal(mean, np.sqrt(variance), norm.relu)
