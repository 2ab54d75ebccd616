"""L0 regularisation: a random gate before every weight, and a penalty on the expected number of open ones."""

from dataclasses import dataclass
from itertools import count

import numpy as np

from psgd_ref.compress import hard_concrete
from psgd_ref.compress.parametrization import Parametrization, register_parametrization, weighted
from psgd_ref.core.arguments import Array, real_number, whole_number
from psgd_ref.kernels.shapes import shaped
from psgd_ref.nn import Model
from psgd_ref.nn.layer import Cache
from psgd_ref.nn.model import check_model
from psgd_ref.nn.parameters import Parameter, zeros

# Seeds of the layers of one model; far apart for different models.
SPACING = 2**20


class Gates(Parametrization):
    """w = θ ⊙ z, z hard concrete: drawn at every training step, its noise-free value in evaluation.

    Parameters
    ----------
    dropped
        In (0, 1), sets the first logits, φ = ln((1 − dropped)/dropped).
    seed
        Of the draws, which depend on it and on how many there were.
    """

    def __init__(self, shape: tuple[int, ...], dropped: float, seed: int) -> None:
        if not 0 < real_number("dropped", dropped) < 1:
            raise ValueError(f"dropped must be a number between 0 and 1; got {dropped!r}")
        self.first = float(np.log1p(-dropped) - np.log(dropped))
        self.seed = seed
        # Not to be pruned, quantized or scaled by itself: role "norm".
        self.logits = Parameter(shape, "norm", zeros)
        # A buffer, so that a resumed run draws what an undisturbed one would have drawn.
        self.draws = np.zeros((), np.float32)

    def parameters(self) -> dict[str, Parameter]:
        return {"logits": self.logits}

    def buffers(self) -> dict[str, Array]:
        return {"draws": self.draws}

    def start(self, w: Array) -> Array:
        """w/z with the noise-free z of the first logits, which it sets."""
        shaped("w", w, self.logits.shape)
        self.logits.value[...] = self.first
        return np.asarray(w / hard_concrete.median(self.logits.value))

    def forward(self, x: Array, training: bool) -> tuple[Array, Cache]:
        shaped("x", x, self.logits.shape)
        if not training:
            return x * hard_concrete.median(self.logits.value), None
        u = hard_concrete.uniform(self.seed, int(self.draws), x.shape)
        self.draws += 1
        z, slope = hard_concrete.gate(self.logits.value, u)
        return x * z, (x, z, slope)

    def backward(self, dy: Array, cache: Cache, need_dx: bool = True) -> Array | None:
        x, z, slope = cache
        shaped("dy", dy, z.shape)
        self.logits.grad[...] = dy * x * slope
        return np.asarray(dy * z)


def gated(model: Model, dropped: float = 0.5, seed: int = 0) -> Model:
    """A new model with a hard-concrete gate before every weight, the same function in evaluation.

    Train it with `L0Penalty`; `remove_parametrizations` gives the trained model in w, with zeros where
    gates are shut.

    Parameters
    ----------
    dropped
        In (0, 1), the dropout rate that the gates start with (the official default).

    Raises
    ------
    ValueError
        For other values.

    Source
    ------
    Louizos, Welling, Kingma 2018, with a gate for each weight instead of each input or filter, as in its
    use for unstructured pruning.
    """
    check_model(model)
    seeds = count(SPACING * whole_number("seed", seed, 0))
    return register_parametrization(model, lambda shape: Gates(shape, dropped, next(seeds)))


@dataclass(frozen=True)
class L0Penalty:
    """strength · Σ P(z > 0): the expected number of open gates, as a penalty for `Penalized`."""

    strength: float

    def __post_init__(self) -> None:
        real_number("strength", self.strength)

    def __call__(self, model: Model, step: int) -> float:
        """The penalty's value; adds its gradient to model.g."""
        value = 0.0
        for layer in weighted(model):
            gates = layer.weight_quantizer
            if isinstance(gates, Gates):
                on, slope = hard_concrete.probability_on(gates.logits.value)
                gates.logits.grad += self.strength * slope
                value += self.strength * float(on.sum(dtype=np.float64))
        return value
