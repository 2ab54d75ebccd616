"""What a method must look like to be held to the laws: by structure, there is nothing to inherit from.

Arrays go in and come out as NumPy float64 of one shape; a result that `numpy.asarray` can read, such as a
PyTorch tensor on the CPU or a JAX array, will do. A method leaves the arrays that it is given as they are.
Besides its first arguments a method is given, by name, those of these options that its signature asks for:

    targets   a target set of `psgd_ref.core`: `targets.nearest(w)`, and `step` and `levels` of a
              `UniformGrid` or `values` of `FiniteTargets`. Without it: the single target zero
    eps       ε ≥ 0. Without it: only inputs with ε = 0
    strength  λ ≥ 0. Without it: a scale is multiplied by λ, a warp divided by √λ, a step taken at ηλ
    cap       True holds the scale beyond the range (claim A5). Without it: only inputs where it does nothing
    warp      all of the above in one `psgd_ref.core.Warp`
    decay     (a step; or `weight_decay`) κ ≥ 0, outside the scaling. Without it: the harness subtracts ηκw
    decay_target  (a step that has a decay) "zero" or "grid": what the decay pulls to. Without it: zero, and
              the harness subtracts ηκ(w − w̄) itself

An input that a method cannot take it declines by raising NotImplementedError; the report counts what ran.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from psgd_ref.core.arguments import Array

ScalingRule = Callable[..., Array]
"""s(w, targets, …) → the factor of each weight's gradient, shape of w."""

Step = Callable[..., Array]
"""step(w, g, lr, …) → new weights. As `warped_step` or `mirror_step` it is held to the laws of those."""

Pruner = Callable[..., Array]
"""prune(w, sparsity) → w with that fraction of its entries zero; or booleans, True for a weight to keep."""


@runtime_checkable
class Invertible(Protocol):
    """An increasing map of weights with its inverse, made by a class or function of (targets, …).

    Optional methods: `derivative(w)`, f′; `scale(w)`, 1/f′².
    """

    def __call__(self, w: Array, /) -> Array:
        """y = f(w)."""
        ...

    def inverse(self, y: Array, /) -> Array:
        """w = f⁻¹(y)."""
        ...


@runtime_checkable
class Quantizer(Protocol):
    """Integers for weights, made by a class or function of (targets).

    Attributes
    ----------
    levels
        Every value it can give, rising, shape (m,); None on an endless lattice.
    scale
        Δ, where the value is codes · scale; None where it is levels[codes].
    """

    @property
    def levels(self) -> npt.ArrayLike | None: ...

    @property
    def scale(self) -> float | None: ...

    def codes(self, w: Array, /) -> npt.ArrayLike:
        """Integers, shape of w."""
        ...


class StatefulStep(Protocol):
    """An optimiser that keeps state between steps, held to its promises by `state_machine`.

    A third parameter `targets` of `step`, where there is one, is given grids that change.
    """

    def step(self, w: Array, g: Array, /) -> npt.ArrayLike:
        """New weights from weights and gradient, both of the same shape; changes its own state."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """All of the state, in anything that `copy.deepcopy` can copy."""
        ...

    def load_state_dict(self, state: Any, /) -> object:
        """Take over a state that `state_dict` gave, of this or of another instance."""
        ...


def value_of(quantizer: Quantizer, w: Array) -> Array:
    """What the codes of w stand for: codes · scale, or levels[codes] where there is no scale."""
    codes = np.asarray(quantizer.codes(w))
    if quantizer.scale is not None:
        return np.asarray(codes * np.float64(quantizer.scale)).astype(w.dtype)
    return np.asarray(np.asarray(quantizer.levels, dtype=w.dtype)[codes])
