"""Quantizers that are learned with the network: what they share, and how a model holds them."""

from collections.abc import Iterator
from typing import Self

import numpy as np

from psgd_ref.compress.graph import WeightLayer, weight_layers
from psgd_ref.compress.post_training.activations import Inputs, input_bits, observe
from psgd_ref.compress.selection import layer_bits
from psgd_ref.core.arguments import Array, whole_number
from psgd_ref.nn import Layer, Model
from psgd_ref.nn.model import check_model

# More than the quantizers of any model.
MANY = 2**20


class FakeQuantizer(Layer):
    """A layer that rounds its input to few levels, and learns which; a `Weighted` layer holds it.

    Each method chooses how to estimate the gradient of the rounding. Parameters have role
    "quantizer". A subclass is put in place by `insert_fake_quantizers`, through its two constructors.

    Parameters
    ----------
    bits
        Of the codes.
    seed
        Of noise, if it draws any, another for each quantizer of a model.
    """

    bits: int
    seed: int = 0

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest level, in the unit of x."""
        raise NotImplementedError

    @classmethod
    def of_weights(cls, w: Array, bits: int) -> Self:
        """A quantizer for the weights w (…, channels), started from their values."""
        raise NotImplementedError

    @classmethod
    def of_inputs(cls, inputs: Inputs, bits: int) -> Self:
        """A quantizer for a layer's input, started from what some images showed of it."""
        raise NotImplementedError


def insert_fake_quantizers(
    model: Model,
    kind: type[FakeQuantizer],
    weights: int | None,
    activations: int | None = None,
    images: Array | None = None,
    seed: int = 0,
) -> None:
    """Put quantizers of a kind into layers with a weight, in place of those they hold. Modifies the model.

    Biases and batch norms stay as they are.

    Parameters
    ----------
    weights
        Bits, 2 … 16, of weights, 8 in the first and last layer below 4; None: not quantized.
    activations
        Bits, 1 … 16, of every layer's input but the first's, 8 in the last below 4; None: not quantized.
    images
        (N, H, W, C) as the model takes them, to start the inputs' quantizers from; no labels.
    seed
        Of the noise of methods that draw any.

    Raises
    ------
    ValueError
        For other values, and for activations without images.
    """
    check_model(model)
    if activations is not None and images is None:
        raise ValueError("quantizers of activations need images to start from; got none")
    remove_fake_quantizers(model)
    found = weight_layers(model)
    if weights is not None:
        whole_number("bits of weights", weights, 2, 16)
        for each in found:
            width = layer_bits(weights, outer=each in (found[0], found[-1]))
            each.layer.weight_quantizer = kind.of_weights(each.layer.weight.value, width)
    if activations is not None and images is not None:
        # Behind the rounded weights, as they will be.
        model.lay_out_again()
        observed = observe(model, images)
        for name, width in input_bits(model, activations).items():
            each = next(each for each in found if each.name == name)
            each.layer.input_quantizer = kind.of_inputs(observed[name], width)
    model.lay_out_again()
    for i, (_, quantizer) in enumerate(fake_quantizers(model)):
        quantizer.seed = whole_number("seed", seed, 0) * MANY + i


def remove_fake_quantizers(model: Model) -> None:
    """Remove every quantizer that a layer holds: what stays are the latent weights. Modifies the model."""
    check_model(model)
    for each in weight_layers(model):
        each.layer.weight_quantizer = each.layer.input_quantizer = None
    model.lay_out_again()


def fake_quantizers(model: Model) -> Iterator[tuple[WeightLayer, FakeQuantizer]]:
    """Every learning quantizer with the layer that holds it, weights before inputs."""
    for each in weight_layers(model):
        for quantizer in (each.layer.weight_quantizer, each.layer.input_quantizer):
            if isinstance(quantizer, FakeQuantizer):
                yield each, quantizer


def code_range(bits: int, signed: bool) -> tuple[int, int]:
    """The least and the largest code: −2^(b−1) … 2^(b−1) − 1, or 0 … 2^b − 1."""
    whole_number("bits", bits, 1 + signed, 16)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def gradient_scale(x: Array, batched: bool, largest: int) -> float:
    """1/√(N · largest code): N entries of a weight, or of one image's activation.

    A sum over all entries would move a learned step far more than a weight moves.

    Source
    ------
    LSQ.
    """
    count = x.size // len(x) if batched else x.size
    return float(1 / np.sqrt(count * largest))
