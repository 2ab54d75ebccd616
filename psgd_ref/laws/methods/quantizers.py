"""Quantizers in the forms in which people bring them, each called in one way.

    q(w, bits)                     values, the scale by a rule of its own
    q(w, targets)                  values, on the target set that is given
    q(w, scale[, zero_point][, bits])  values, with a scale that is given
    any of these with `axis`       per channel: the harness names the last axis
    Rule(bits) with `fit(w)`       targets for a tensor, as `MinMaxGrid`; made or not
    made from (targets)            an object with `codes`, see `protocols.Quantizer`

Instead of values each may return integer codes: (codes, scale), (codes, scale, zero_point), a mapping with
these keys and perhaps `packing` (see `packing.unpack`), or an object with these attributes. A code stands
for (code − zero_point) · scale; scale and zero_point are numbers, or arrays that broadcast with w. Arrays
are NumPy float64 or float32; what `numpy.asarray` can read will do as a result.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from psgd_ref.core import FiniteTargets, Targets, UniformGrid
from psgd_ref.core.arguments import Array
from psgd_ref.laws.methods.calling import parameters
from psgd_ref.laws.methods.protocols import value_of
from psgd_ref.laws.methods.quantized import WANTED, Quantized, read
from psgd_ref.laws.trial import LawBrokenError

# What a quantizer may ask for by name, and the words that mean it.
ALIASES = {
    "bits": ("bits", "num_bits", "n_bits", "nbits", "bit_width"),
    "scale": ("scale", "step", "delta"),
    "zero_point": ("zero_point", "zero"),
    "axis": ("axis", "channel_axis"),
    "targets": ("targets",),
}
# Sizes of which a tensor has to be a multiple, for methods that pack codes or work on groups.
_UNITS = (1, 2, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, eq=False)
class Quantization:
    """A quantizer that somebody brought, under one way to call it.

    Parameters
    ----------
    name, form
        What it is called, and the form in which it came.
    call
        (w, options) → its result, options under the names of `ALIASES`.
    takes
        Which of the options it asks for.
    bits
        The number of bits that it is fixed to; None where it is told.
    """

    name: str
    form: str
    call: Callable[[Array, dict[str, Any]], Any]
    takes: frozenset[str]
    bits: int | None = None
    _layouts: dict[int, tuple[str, int]] = field(default_factory=dict, repr=False)

    @property
    def given(self) -> bool:
        """Whether its scale is given to it and not fitted to the weights."""
        return bool(self.takes & {"scale", "targets"})

    def __call__(self, w: Array, bits: int, step: float | None = None) -> Quantized:
        """Q(w), w of any shape; a scale that is asked for is `step`, or max|w|/(2^(bits−1) − 1)."""
        return self._called(w, self._options(w, bits, step))

    def _called(self, w: Array, options: dict[str, Any]) -> Quantized:
        copy = w.copy()
        result = self.call(copy, options)
        if not np.array_equal(copy, w, equal_nan=True):
            raise LawBrokenError(f"{self.name} changes w in place: it must return a new array")
        return read(result, w)

    def flat(self, w: Array, bits: int, step: float | None = None) -> Quantized:
        """Q(w) of weights (n,) that belong to one channel or group, in the shape that it works on."""
        shape, unit = self._layout(bits)
        padded = np.concatenate([w, np.repeat(w[-1:], -len(w) % unit)])
        done = self(padded.reshape(_shaped(shape, len(padded))), bits, step)
        codes = None if done.codes is None else done.codes.ravel()[: len(w)]
        scale = None if done.scale is None or done.scale.size != 1 else done.scale.ravel()
        return Quantized(done.value.ravel()[: len(w)], codes, scale)

    def nearest(self, w: Array, targets: Targets) -> Array:
        """w̄ on a grid of 2^b − 1 levels, 2 ≤ b ≤ 8, that both extremes beside the weights ask for.

        A scale that is fitted to the weights cannot be given, but weights can that ask for it; those beyond
        the range are brought to its ends first. A quantizer that asks for targets is given these.

        Raises
        ------
        NotImplementedError
            For other targets.
        """
        if self.takes == {"targets"}:
            return self._called(w, {"targets": targets}).value
        levels = targets.levels if isinstance(targets, UniformGrid) else None
        if not isinstance(targets, UniformGrid) or levels not in [2**k - 1 for k in range(1, 8)]:
            raise NotImplementedError("targets that are no grid of 2^b − 1 levels")
        assert levels is not None
        bits = (levels + 1).bit_length()
        if self.bits not in (None, bits):
            raise NotImplementedError(f"{bits} bits: it is fixed to {self.bits}")
        if self.given:
            return self.flat(w.ravel(), bits, targets.step).value.reshape(w.shape)
        ends = (np.array([levels, -levels]) * targets.step).astype(w.dtype)
        inside = np.clip(w.ravel(), ends[1], ends[0])
        return self.flat(np.concatenate([inside, ends]), bits).value[: w.size].reshape(w.shape)

    def _options(self, w: Array, bits: int, step: float | None) -> dict[str, Any]:
        levels = max(2 ** (bits - 1) - 1, 1)
        options: dict[str, Any] = {"bits": bits, "zero_point": 0, "axis": w.ndim - 1}
        if self.given:
            per_channel = "axis" in self.takes and "targets" not in self.takes
            scale = _largest(w, per_channel) / w.dtype.type(levels) if step is None else w.dtype.type(step)
            options["scale"] = scale
        if "targets" in self.takes:
            options["targets"] = UniformGrid(float(options["scale"]), levels)
        return {name: options[name] for name in self.takes}

    def _layout(self, bits: int) -> tuple[str, int]:
        """The shape in which weights are one channel, and the unit of their number; ValueError for none."""
        if bits not in self._layouts:
            self._layouts[bits] = self._found_layout(bits)
        return self._layouts[bits]

    def _found_layout(self, bits: int) -> tuple[str, int]:
        first: Exception | None = None
        shapes = ("column",) if "axis" in self.takes else ("flat", "row", "column")
        for unit in _UNITS:
            for shape in shapes:
                w = np.random.default_rng(0).standard_normal(3 * unit + (unit == 1) * 21)
                try:
                    value = self(w.reshape(_shaped(shape, len(w))), bits).value.ravel()
                except LawBrokenError:
                    raise
                except Exception as error:
                    first = first or error
                    continue
                if not np.array_equal(value, w):  # a channel of one weight each comes back as it is
                    return shape, unit
        if first is None:
            return "flat", 1
        raise first


def as_quantization(thing: Any, alone: bool = True) -> Quantization:
    """The quantizer that a thing is, by its structure.

    Parameters
    ----------
    alone
        Also take q(w), whose bits are its own affair.

    Raises
    ------
    ValueError
        For a thing in none of the forms, with those that are.
    """
    if isinstance(thing, Quantization):
        return thing
    name = str(getattr(getattr(thing, "func", thing), "__name__", None) or type(thing).__name__)
    if is_rule(thing):
        return _rule(thing, name)
    if isinstance(thing, type) and hasattr(thing, "codes"):
        return _maker(thing, name)
    if isinstance(thing, type) or not callable(thing):
        raise ValueError(f"{name} is no quantizer that is known: {WANTED}")
    names = list(parameters(thing))
    if names == ["targets"]:
        return _maker(thing, name)
    asked = _asked(thing, name)
    if not names or (not asked and not alone):
        raise ValueError(f"{name}({', '.join(names)}) is no quantizer that is known: {WANTED}")
    words = {option: word for word, option in asked.items()}

    def call(w: Array, options: dict[str, Any]) -> Any:
        return thing(w, **{words[option]: value for option, value in options.items()})

    return Quantization(name, f"q({', '.join(['w', *asked])})", call, frozenset(words))


def is_quantizer(function: Callable[..., Any], names: list[str]) -> bool:
    """Whether a function of these parameters is a quantizer and no scaling rule: by them, or by what it does.

    A rule s(w, targets) and a quantizer q(w, targets) look alike: a quantizer gives, for every weight, a
    target that is no farther than a step.
    """
    asked = [option for name in names[1:] if (option := _option(name))]
    if set(asked) & {"bits", "scale", "zero_point", "axis"}:
        return not set(names) & {"eps", "strength", "lr", "sparsity"}
    if names[1:] != ["targets"]:
        return False
    w = np.array([0.3, -0.8, 1.9, -1.7])
    for targets in (UniformGrid(1.0, 2), FiniteTargets(np.arange(-2.0, 3.0))):
        try:
            q = np.asarray(function(w.copy(), targets), dtype=float)
        except Exception:
            continue
        return q.shape == w.shape and bool(np.all((np.abs(q - w) < 1) & np.isin(q, np.arange(-2.0, 3.0))))
    return False


def is_rule(thing: Any) -> bool:
    """Whether a thing, or what a class makes, has `fit(w)` for one tensor and `bits`, as a grid has."""
    fit = getattr(thing, "fit", None)
    if not callable(fit):
        return False
    if isinstance(thing, type):
        return "bits" in parameters(thing) and len(parameters(fit)) == 2
    return hasattr(thing, "bits") and len(parameters(fit)) == 1


def _rule(thing: Any, name: str) -> Quantization:
    made = not isinstance(thing, type)

    def call(w: Array, options: dict[str, Any]) -> Any:
        return (thing if made else thing(bits=options["bits"])).fit(w).nearest(w)

    form = "fit(w)" if made else f"{name}(bits).fit(w)"
    takes: frozenset[str] = frozenset() if made else frozenset({"bits"})
    return Quantization(name, form, call, takes, thing.bits if made else None)


def _maker(make: Callable[..., Any], name: str) -> Quantization:
    def call(w: Array, options: dict[str, Any]) -> Any:
        return value_of(make(options["targets"]), w)

    return Quantization(name, f"{name}(targets).codes(w)", call, frozenset({"targets"}))


def _asked(function: Callable[..., Any], name: str) -> dict[str, str]:
    """Parameters that are options, by name; ValueError for one that must be given and is none."""
    asked: dict[str, str] = {}
    unknown = []
    for word, parameter in list(parameters(function).items())[1:]:
        option = _option(word)
        if option and parameter.kind is parameter.POSITIONAL_ONLY:
            unknown.append(word)
        elif option and not _bound(function, word):
            asked[word] = option
        elif parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        ):
            unknown.append(word)
    if unknown:
        raise ValueError(f"{name} asks for {', '.join(unknown)}, which is not known: {WANTED}")
    return asked


def _bound(function: Any, word: str) -> bool:
    """Whether a partial has that argument already."""
    return isinstance(function, functools.partial) and word in function.keywords


def _option(word: str) -> str | None:
    return next((option for option, words in ALIASES.items() if word in words), None)


def _largest(w: Array, per_channel: bool) -> Any:
    """max|w|, for each channel of the last axis if so; 1 where that is 0."""
    largest = np.abs(w).max(axis=tuple(range(w.ndim - 1)) if per_channel else None, initial=0)
    return np.where(largest > 0, largest, w.dtype.type(1))[()]


def _shaped(shape: str, size: int) -> tuple[int, ...]:
    return {"flat": (size,), "row": (1, size), "column": (size, 1)}[shape]
