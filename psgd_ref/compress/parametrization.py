"""Weights as functions of other numbers, w = φ(θ), while a model is trained."""

from collections.abc import Callable, Iterator

from psgd_ref.core.arguments import Array
from psgd_ref.nn import Layer, Model, Weighted
from psgd_ref.nn.model import check_model
from psgd_ref.nn.parameters import named_layers


class Parametrization(Layer):
    """A layer that stands before a weight and turns its parameter θ into the weight w = φ(θ)."""

    def start(self, w: Array) -> Array:
        """A θ with φ(θ) = w; sets the layer's own parameters, whose values are bound by then."""
        raise NotImplementedError


def register_parametrization(model: Model, make: Callable[[tuple[int, ...]], Parametrization]) -> Model:
    """A new model of the same function whose weights are φ(θ); `w` of the new model holds θ.

    Biases and batch norms stay as they are. `remove_parametrizations` undoes this.

    Parameters
    ----------
    make
        Gives the φ to put before a weight, from the weight's shape.
    """
    copied = model.copy()
    weights = {layer: layer.weight.value.copy() for layer in weighted(copied)}
    for layer in weights:
        layer.weight_quantizer = make(layer.weight.shape)
    copied.lay_out_again()
    for layer, w in weights.items():
        assert isinstance(layer.weight_quantizer, Parametrization)
        layer.weight.value[...] = layer.weight_quantizer.start(w)
    return copied


def remove_parametrizations(model: Model) -> Model:
    """A new model of the same function in evaluation whose `w` holds the weights φ(θ) themselves.

    Whatever layer stands before a weight is applied as in evaluation and taken out.
    """
    check_model(model)
    copied = model.copy()
    values = {}
    for layer in weighted(copied):
        if layer.weight_quantizer is not None:
            values[layer] = layer.weight_quantizer.forward(layer.weight.value, False)[0]
            layer.weight_quantizer = None
    copied.lay_out_again()
    for layer, w in values.items():
        layer.weight.value[...] = w
    return copied


def weighted(model: Model) -> Iterator[Weighted]:
    """Every layer with a weight, in forward order."""
    return (layer for _, layer in named_layers(model.net) if isinstance(layer, Weighted))
