"""How a method is called: the options that its signature asks for, and arrays in and out."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from psgd_ref.core import Targets, Warp, Zero, position_scale, volume_strength
from psgd_ref.core.arguments import Array
from psgd_ref.laws.trial import LawBrokenError

WEIGHT_DECAY = ("decay", "weight_decay")
TARGET = "decay_target"
OPTIONS = ("targets", "eps", "strength", "cap", "warp", "lr", "sparsity", *WEIGHT_DECAY, TARGET)


class BadResultError(ValueError):
    """What a method returned is not what the protocol asks for."""


@dataclass(frozen=True)
class Call:
    """A function with what it asks for by name; its first `first` arguments are given by place."""

    function: Callable[..., Any]
    name: str
    first: int = 2

    def __post_init__(self) -> None:
        unknown = [
            p.name
            for p in list(parameters(self.function).values())[self.first :]
            if p.default is p.empty
            and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            and p.name not in OPTIONS
        ]
        if unknown:
            raise ValueError(
                f"{self.name} asks for {', '.join(unknown)}, which is not known; "
                f"a method may ask for {', '.join(OPTIONS)}"
            )

    @property
    def takes(self) -> frozenset[str]:
        """The options that it asks for."""
        return frozenset(list(parameters(self.function))[self.first :])

    def scale(
        self, w: Array, targets: Targets, eps: float = 0.0, strength: float | str = 1.0, cap: bool = False
    ) -> Array:
        """As `position_scale`; of the rules for λ "volume" is λ* where the function does not know it."""
        if isinstance(strength, str):
            try:
                return self._scale(w, targets, eps, strength, cap)
            except (TypeError, ValueError, KeyError):
                if strength != "volume":
                    raise NotImplementedError(f"the strength {strength!r} is not taken") from None
                strength = volume_strength(targets, eps)
        return self._scale(w, targets, eps, strength, cap)

    def _scale(self, w: Array, targets: Targets, eps: float, strength: float | str, cap: bool) -> Array:
        options, rest = self._options(w, targets, eps, strength, cap, by_place=True)
        return np.asarray(rest * self._array(self._call([w], targets, **options), w))

    def step(self, w: Array, g: Array, lr: float, warp: Warp) -> Array:
        """As `psgd_step`, without decay."""
        return self.decayed_step(w, g, lr, warp, 0.0)

    def decayed_step(self, w: Array, g: Array, lr: float, warp: Warp, weight_decay: float) -> Array:
        """As `psgd_step`, with weight decay κ to zero."""
        return self._decayed(w, g, lr, warp, weight_decay, "zero")

    def grid_decayed_step(self, w: Array, g: Array, lr: float, warp: Warp, weight_decay: float) -> Array:
        """As `psgd_step`, with weight decay κ to the nearest target."""
        return self._decayed(w, g, lr, warp, weight_decay, "grid")

    def _decayed(self, w: Array, g: Array, lr: float, warp: Warp, weight_decay: float, to: str) -> Array:
        options: dict[str, Any] = {"warp": warp}
        rest = 1.0
        if "warp" not in self.takes:
            options, rest = self._options(w, warp.targets, warp.eps, warp.strength, warp.cap)
        if name := decay_option(self.function):
            # Where λ goes into the rate, so that the decay stays κ times the rate that was asked for.
            options[name] = weight_decay / rest
            if TARGET in self.takes:
                options[TARGET] = to
        return self._array(self._call([w, np.asarray(g)], **options, lr=lr * rest), w)

    def nearest(self, w: Array, targets: Targets) -> Array:
        """w̄; the law on quantizers itself looks at the dtype."""
        return np.asarray(self._call([w], targets))

    def prune(self, w: Array, sparsity: float) -> Array:
        """w with zeros, also where the function answers which weights to keep."""
        kept = np.asarray(self._call([w], sparsity))
        return np.where(kept, w, 0.0) if kept.dtype == bool else self._array(kept, w)

    def warp(self, targets: Targets, eps: float, strength: float, cap: bool) -> "ForeignWarp":
        """The warp that the function makes of a target set."""
        if cap and "cap" not in self.takes:
            raise NotImplementedError("a cap: it takes none")
        options, rest = self._options(np.zeros(0), targets, eps, strength, cap)
        return ForeignWarp(self.function(**options), rest)

    def _options(
        self,
        w: Array,
        targets: Targets,
        eps: float,
        strength: float | str,
        cap: bool,
        by_place: bool = False,
    ) -> tuple[dict[str, Any], Any]:
        """The options to give by name, and the factor λ that is left to the caller."""
        takes = self.takes
        options: dict[str, Any] = {"eps": eps, "strength": strength, "cap": cap}
        if "targets" in takes:
            options["targets"] = targets
        elif not by_place and not isinstance(targets, Zero):
            raise NotImplementedError("targets other than zero: it takes no targets")
        if eps > 0 and "eps" not in takes:
            raise NotImplementedError("ε > 0: it takes no eps")
        if cap and "cap" not in takes and _cap_matters(w, targets):
            raise NotImplementedError("a cap: it takes none")
        if isinstance(strength, str) and "strength" not in takes:
            raise TypeError("it takes no strength")
        rest = 1.0 if "strength" in takes else strength
        return {name: value for name, value in options.items() if name in takes}, rest

    def _call(self, arrays: list[Array], /, *arguments: Any, **options: Any) -> Any:
        """The function on copies of the arrays; LawBrokenError where it changes one of them in place."""
        copies = [array.copy() for array in arrays]
        result = self.function(*copies, *arguments, **options)
        for name, copy, array in zip("wg", copies, arrays, strict=False):
            if not np.array_equal(copy, array):
                raise LawBrokenError(f"{self.name} changes {name} in place: it must return a new array")
        return result

    def _array(self, result: Any, w: Array) -> Array:
        array = np.asarray(result)
        if array.shape != w.shape:
            raise BadResultError(f"it returned shape {array.shape} for weights of shape {w.shape}")
        if array.dtype != w.dtype:
            raise BadResultError(
                f"it returned {array.dtype} for {w.dtype} weights; the laws allow for the rounding of "
                "float64 alone (PyTorch: keep the dtype of w; JAX: jax.config.update('jax_enable_x64', True))"
            )
        return array


@dataclass(frozen=True)
class WarpMaker:
    """A user's warps under the signature of `psgd_ref.core.Warp`."""

    call: Call

    def __call__(
        self, targets: Targets, eps: float = 0.0, strength: float | str = 1.0, cap: bool = False
    ) -> Any:
        number = volume_strength(targets, eps) if isinstance(strength, str) else strength
        return self.call.warp(targets, eps, number, cap)


class ForeignWarp:
    """A user's warp f, as f/√λ, with all methods of `psgd_ref.core.Warp` that the laws use."""

    def __init__(self, warp: Any, strength: float = 1.0) -> None:
        self._warp = warp
        self._strength = strength
        self._root = math.sqrt(strength)

    def __call__(self, w: Array) -> Array:
        """y = f(w)/√λ."""
        return np.asarray(np.asarray(self._warp(np.array(w)), dtype=float) / self._root)

    def inverse(self, y: Array) -> Array:
        """w = f⁻¹(√λ y)."""
        return np.asarray(self._warp.inverse(np.array(y) * self._root), dtype=float)

    def derivative(self, w: Array) -> Array:
        """f′(w)/√λ, by its own derivative or by its scale."""
        if hasattr(self._warp, "derivative"):
            return np.asarray(np.asarray(self._warp.derivative(np.array(w)), dtype=float) / self._root)
        with np.errstate(divide="ignore"):
            return np.asarray(1 / np.sqrt(self.scale(w)))

    def scale(self, w: Array) -> Array:
        """λ s(w), by its own scale or by its derivative."""
        if hasattr(self._warp, "scale"):
            return np.asarray(self._strength * np.asarray(self._warp.scale(np.array(w)), dtype=float))
        if hasattr(self._warp, "derivative"):
            return np.asarray(1 / self.derivative(w) ** 2)
        raise NotImplementedError("it has neither derivative nor scale")


def _cap_matters(w: Array, targets: Targets) -> bool:
    return not np.array_equal(position_scale(w, targets), position_scale(w, targets, cap=True))


def decay_option(function: Any) -> str | None:
    return next((name for name in WEIGHT_DECAY if name in parameters(function)), None)


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        raise ValueError(f"{function!r} has no signature to read: wrap it in a function") from None
