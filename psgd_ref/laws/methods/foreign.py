"""From anybody's method to a subject: which parts it has, and how each is called."""

import contextlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from psgd_ref.core import FiniteTargets, Targets, UniformGrid, Warp, Zero
from psgd_ref.core.arguments import Array
from psgd_ref.laws.methods.calling import TARGET, BadResultError, Call, WarpMaker, decay_option, parameters
from psgd_ref.laws.methods.load import load, reference_to
from psgd_ref.laws.methods.protocols import Invertible, Quantizer, value_of
from psgd_ref.laws.methods.quantizers import Quantization, as_quantization, is_quantizer, is_rule
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Calls, LawBrokenError

# Attributes that are parts, and the fields of `Subject` that they fill.
NAMES = {
    "scale": "scale",
    "step": "psgd_step",
    "psgd_step": "psgd_step",
    "warped_step": "warped_step",
    "mirror_step": "mirror_step",
    "nearest": "nearest",
    "warp": "warp",
    "quantizer": "quantizer",
    "prune": "prune",
    "laplace_clip": "laplace_clip",
    "nested_rounding": "nested_rounding",
    "adaptive_magnitudes": "adaptive_magnitudes",
    "step_gradient": "step_gradient",
}
_STEPS = ("psgd_step", "warped_step", "mirror_step")


def as_subject(thing: Any) -> Subject:
    """The subject that a method makes, by its structure; see `protocols` for what is looked for.

    A scaling rule brings the step w − η s(w) ⊙ g with it, a warp the step in the warped space, a quantizer
    the nearest target.

    Parameters
    ----------
    thing
        A function or callable object; a class with `inverse` (a warp) or `codes` (a quantizer); or an
        object with attributes named as the parts (`scale`, `step`, `warped_step`, `nearest`, …), or a
        class with static or class methods of these names.

    Raises
    ------
    ValueError
        For a thing that is no such method, or that cannot be called.

    Examples
    --------
    >>> def magnitude(w, targets):
    ...     return abs(w)
    >>> sorted(as_subject(magnitude).given)
    ['psgd_step', 'scale']
    """
    if isinstance(thing, Subject):
        return thing
    name, calls = _name(thing), Calls()
    functions = _parts(thing, name)
    parts = {part: _counted(_wrap(part, function, name), calls) for part, function in functions.items()}
    if "psgd_step" in functions and decay_option(functions["psgd_step"]):
        step = Call(functions["psgd_step"], name)
        parts["decayed_step"] = _counted(step.decayed_step, calls)
        if TARGET in step.takes:
            parts["grid_decayed_step"] = _counted(step.grid_decayed_step, calls)
    derived = _derived(parts)
    address = reference_to(thing)
    tested: dict[str, Any] = {**derived, **parts}
    return Subject(
        name,
        **tested,
        given=frozenset(tested),
        quantization=_quantization(functions),
        calls=calls,
        address="subject" if address is None else f'"{address}"',
    )


def load_subject(address: str) -> Subject:
    """The subject at "module:Name".

    Raises
    ------
    ValueError
        As `load` and `as_subject` raise it.
    """
    return replace(as_subject(load(address)), address=f'"{address}"')


def _parts(thing: Any, name: str) -> dict[str, Any]:
    """The fields that the thing fills, each with its function."""
    if is_rule(thing):
        return {"nearest": as_quantization(thing)}
    if isinstance(thing, type):
        if hasattr(thing, "inverse"):
            return {"warp": thing}
        if hasattr(thing, "codes"):
            return {"quantizer": thing}
        own = {part: getattr(thing, key) for key, part in NAMES.items() if _needs_no_object(thing, key)}
        if own:
            return own
        what = "an optimiser class" if hasattr(thing, "step") else "a class"
        raise ValueError(
            f"{name} is {what}; give a function step(w, g, lr, …) or s(w, targets, …), or a class "
            "with `inverse` (a warp) or `codes` (a quantizer): theory/harness.md shows each"
        )
    if isinstance(thing, Invertible | Quantizer):
        raise ValueError(f"{name} is made already; give what makes it from (targets, …)")
    found = {part: getattr(thing, key) for key, part in NAMES.items() if callable(getattr(thing, key, None))}
    if found:
        return found
    if not callable(thing):
        raise ValueError(
            f"{name} must be callable or have one of {', '.join(NAMES)}; got {type(thing).__name__}"
        )
    names = list(parameters(thing))
    if name not in NAMES and is_quantizer(thing, names):
        return {"nearest": as_quantization(thing)}
    return {_kind(thing, name): thing}


def _quantization(functions: dict[str, Any]) -> Quantization | None:
    """The quantizer among the parts, for `describe`; None where there is none."""
    for part in ("nearest", "quantizer"):
        if part in functions:
            with contextlib.suppress(ValueError):
                return as_quantization(functions[part], alone=False)
    return None


def _needs_no_object(kind: type, key: str) -> bool:
    """Whether a class has a static or class method of that name, as `PSGD.psgd_step`."""
    return isinstance(inspect.getattr_static(kind, key, None), classmethod | staticmethod)


def _kind(function: Callable[..., Any], name: str) -> str:
    """What a bare function is, by its name and its parameters."""
    if name in NAMES and name != "step":
        return NAMES[name]
    names = list(parameters(function))
    if "lr" in names:
        return "psgd_step"
    if "sparsity" in names:
        return "prune"
    if names[:1] == ["targets"]:
        # Only a quantizer needs nothing but targets; a warp that does is told apart by what it makes.
        made = _try(name, function, UniformGrid(1.0, 2)) if len(names) == 1 else None
        return "quantizer" if hasattr(made, "codes") else "warp"
    if len(names) < 2:
        raise ValueError(f"{name}({', '.join(names)}) is no method that is known: see theory/harness.md")
    return "scale"


def _wrap(part: str, function: Any, name: str) -> Any:
    """The function under the convention of its field in `Subject`, tried once."""
    grid, w = UniformGrid(1.0, 2), np.array([0.25, -0.75])
    call: Any
    if part == "warp":
        call = WarpMaker(Call(function, name, first=0))
        _try(name, lambda targets: call(targets, 0.0, 1.0)(w), grid)
    elif part == "quantizer":
        call = function
        _try(name, lambda targets: value_of(function(targets), w), grid)
    elif part == "scale":
        call = Call(function, name, first=2).scale
        _try(name, lambda targets: call(w, targets, 0.0, 1.0, False), grid)
    elif part in _STEPS:
        call = Call(function, name, first=2).step
        _try(name, lambda targets: call(w, w, 0.1, Warp(targets)), grid)
    elif isinstance(function, Quantization):
        call = function.nearest
        levels = 7 if function.bits is None else max(2 ** (function.bits - 1) - 1, 1)
        _try(name, lambda targets: call(w, targets), UniformGrid(1.0, levels))
    elif part == "nearest":
        call = Call(function, name, first=2).nearest
        _try(name, lambda targets: call(w, targets), grid)
    elif part == "prune":
        call = Call(function, name, first=2).prune
        _try(name, lambda targets: call(w, 0.5), grid)
    else:
        call = function
    return call


def _counted(function: Callable[..., Any], calls: Calls) -> Callable[..., Any]:
    def counted(*args: Any) -> Any:
        calls.count += 1
        return function(*args)

    return counted


def _try(name: str, call: Callable[[Targets], Any], grid: UniformGrid) -> Any:
    """One call on a grid, or where that is declined on a list or on zero; ValueError for what it raises."""
    try:
        for targets in (grid, FiniteTargets(np.arange(-2.0, 3.0)), Zero()):
            with contextlib.suppress(NotImplementedError), np.errstate(all="ignore"):
                return call(targets)
    except LawBrokenError:
        return None  # a method that can be called, and does something wrong: the laws say so
    except Exception as error:
        first = (str(error).splitlines() or [""])[0]
        reason = first if isinstance(error, BadResultError) else f"{type(error).__name__}: {first}"
        raise ValueError(f"{name} cannot be checked: {reason}") from error
    return None


def _derived(parts: dict[str, Any]) -> dict[str, Any]:
    """The parts that follow from those given."""
    derived: dict[str, Any] = {}
    if "scale" in parts and "psgd_step" not in parts:
        scale = parts["scale"]

        def step(w: Array, g: Array, lr: float, warp: Warp) -> Array:
            return np.asarray(w - lr * scale(w, warp.targets, warp.eps, warp.strength, warp.cap) * g)

        derived["psgd_step"] = step
    if "warp" in parts and "warped_step" not in parts:
        make = parts["warp"]

        def warped(w: Array, g: Array, lr: float, warp: Warp) -> Array:
            f = make(warp.targets, warp.eps, warp.strength, warp.cap)
            return np.asarray(f.inverse(f(w) - lr * np.sqrt(f.scale(w)) * g))

        derived["warped_step"] = warped
    if "quantizer" in parts and "nearest" not in parts:
        quantizer = parts["quantizer"]
        derived["nearest"] = lambda w, targets: value_of(quantizer(targets), w)
    return derived


def _name(thing: Any) -> str:
    """The name of a function or class, of the function within a partial, or of an object's class."""
    inner = getattr(thing, "func", thing)
    return str(getattr(inner, "__name__", None) or type(inner).__name__)
