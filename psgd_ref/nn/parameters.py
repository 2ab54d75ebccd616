"""One flat vector: all trainable parameters of a network in one array, each layer's a view of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array

if TYPE_CHECKING:
    from psgd_ref.nn.layer import Layer

Scalar = TypeVar("Scalar", bound=np.generic)
Role = Literal["weight", "bias", "norm", "quantizer", "gate"]
Initialiser = Callable[[np.random.Generator, tuple[int, ...]], Array]


class Parameter:
    """A trainable array of a layer: its shape, role and initial value; later, views of value and gradient.

    Parameters
    ----------
    shape
        Of the array.
    role
        "weight" (scaled, quantized, pruned), "bias" or "norm" (γ, β: neither), "quantizer" (a step or a
        range) or "gate" (a gate's logit); optimisers that distinguish roles do not decay the last two.
    initial
        Makes the initial value from a random generator and the shape.
    """

    def __init__(self, shape: tuple[int, ...], role: Role, initial: Initialiser) -> None:
        self.shape, self.role, self.initial = shape, role, initial

    value: Array
    grad: Array

    def __getstate__(self) -> dict[str, object]:
        # A copy or pickle of a layer holds no views: its model binds it to the new flat vector.
        return {"shape": self.shape, "role": self.role, "initial": self.initial}


@dataclass(frozen=True)
class Segment:
    """Where a parameter lives in the flat vector: w[start:stop].reshape(shape)."""

    name: str
    shape: tuple[int, ...]
    role: Role
    start: int
    stop: int

    @property
    def span(self) -> slice:
        return slice(self.start, self.stop)

    def view(self, flat: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """This parameter's part of a flat array, in its own shape: a view."""
        return flat[self.start : self.stop].reshape(self.shape)


def dotted(prefix: str, name: str) -> str:
    """The dotted name of a layer or a parameter inside another layer; "" is the network itself."""
    return f"{prefix}.{name}" if prefix else name


def named_layers(layer: "Layer", prefix: str = "") -> Iterator[tuple[str, "Layer"]]:
    """The layer and all below it with dotted names, in forward order."""
    yield prefix, layer
    for name, child in layer.children().items():
        yield from named_layers(child, dotted(prefix, name))


def named_parameters(layer: "Layer") -> Iterator[tuple[str, Parameter]]:
    """Every parameter below a layer with its dotted name, in forward order."""
    for prefix, owner in named_layers(layer):
        for name, parameter in owner.parameters().items():
            yield dotted(prefix, name), parameter


def check_names(net: "Layer") -> None:
    """Raise ValueError for a layer with parameters that occurs twice, and for two parameters of one name."""
    places: dict[Layer, str] = {}
    for name, layer in named_layers(net):
        if layer.parameters() and layer in places:
            raise ValueError(
                f"{places[layer]} and {name} are the same {type(layer).__name__}; every layer has weights of "
                "its own"
            )
        places[layer] = name
    names = [name for name, _ in named_parameters(net)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"two parameters have the name {twice}")


def lay_out(layer: "Layer") -> tuple[Segment, ...]:
    """The segments of a network's flat vector, one after another."""
    segments, start = [], 0
    for name, parameter in named_parameters(layer):
        stop = start + int(np.prod(parameter.shape))
        segments.append(Segment(name, parameter.shape, parameter.role, start, stop))
        start = stop
    return tuple(segments)


def bind(layer: "Layer", segments: tuple[Segment, ...], w: Array, g: Array) -> None:
    """Make every parameter's value and gradient a view of w and g."""
    for segment, (_, parameter) in zip(segments, named_parameters(layer), strict=True):
        parameter.value, parameter.grad = segment.view(w), segment.view(g)


def he_normal(fan_in: int) -> Initialiser:
    """Normal values of variance 2/fan_in, for a layer before a ReLU.

    Source
    ------
    He et al. 2015.
    """
    return partial(_normal, std=np.sqrt(2 / fan_in))


def _normal(rng: np.random.Generator, shape: tuple[int, ...], std: float) -> Array:
    return rng.standard_normal(shape) * std


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """All zeros: biases and β."""
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """All ones: γ."""
    return np.ones(shape)


def filled(value: float) -> Initialiser:
    """The same value everywhere."""
    return partial(_filled, value=value)


def _filled(rng: np.random.Generator, shape: tuple[int, ...], value: float) -> Array:
    return np.full(shape, value)
