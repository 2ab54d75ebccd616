"""A counter-example in words: the one weight at which a subject differs most from the formula."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from psgd_ref.core import Targets, Warp
from psgd_ref.core.arguments import Array
from psgd_ref.laws.ledger import Claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.replay import Replay
from psgd_ref.laws.trial import Inputs

# A difference below this fraction of the numbers' size is taken for rounding.
_ROUNDING = 1e-9
_STEPS = ("psgd_step", "decayed_step", "grid_decayed_step", "warped_step", "mirror_step")
_DECAYED = {"decayed_step": "decayed", "grid_decayed_step": "decayed_to_grid"}
_NAMES = {
    "psgd_step": "step",
    "decayed_step": "step with decay",
    "grid_decayed_step": "step with decay to the grid",
    "warped_step": "warped step",
    "mirror_step": "mirror step",
    "nearest": "quantizer",
}
_FORMULAS = {
    "scale": "λ(d + ε)",
    "psgd_step": "w − ηλ(d + ε)g",
    "decayed_step": "w − η(λ(d + ε)g + κw)",
    "grid_decayed_step": "w − η(λ(d + ε)g + κ(w − w̄))",
    "warped_step": "f⁻¹(f(w) − η√s g)",
    "mirror_step": "the mirror step",
    "nearest": "the nearest target",
    "warp": "f(w)",
}


@dataclass
class Seen:
    """One call of one part at one weight: what came out, and what the formula gives."""

    part: str
    w: float
    setting: tuple[Targets, float, Any]
    options: dict[str, float]
    found: float
    expected: float

    @property
    def difference(self) -> float:
        """The relative error, as a fraction of the numbers' size; infinite for what is no number."""
        if not np.isfinite(self.found):
            return float("inf")
        size = abs(self.found) + abs(self.expected) + (abs(self.w) if self.part != "scale" else 0.0)
        return abs(self.found - self.expected) / size if size else 0.0

    def __str__(self) -> str:
        targets, eps, strength = self.setting
        nearest = float(targets.nearest(np.array([self.w]))[0])
        options = {"ε": eps, "λ": strength, **self.options}
        given = ", ".join(f"{name} = {_number(value)}" for name, value in options.items())
        place = f"d = {_number(abs(self.w - nearest))} from the target {_number(nearest)}"
        at = f"at w = {_number(self.w)}, {place}"
        verb = f"your {_NAMES.get(self.part, self.part)} gives {_number(self.found)}"
        return (
            f"{at} of {targets!r}, with {given}: {verb}, {_FORMULAS[self.part]} is {_number(self.expected)}"
        )


@dataclass
class Watch:
    """The parts of a subject with the reference's beside them, call by call."""

    subject: Subject
    seen: list[Seen] = field(default_factory=list)

    def watched(self) -> Subject:
        """The subject with every part that is not the reference's own under watch."""
        right = Subject()
        parts: dict[str, Any] = {
            part: self._step(part, getattr(self.subject, part))
            for part in _STEPS
            if getattr(self.subject, part) is not getattr(right, part)
        }
        if self.subject.scale is not right.scale:
            parts["scale"] = self._scale
        if self.subject.nearest is not right.nearest:
            parts["nearest"] = self._nearest
        if self.subject.warp is not right.warp:
            parts["warp"] = self._warp
        return replace(self.subject, **parts)

    def _step(self, part: str, function: Callable[..., Array]) -> Callable[..., Array]:
        right = getattr(Subject(), _DECAYED.get(part, part))

        def step(w: Array, g: Array, lr: float, warp: Warp, *weight_decay: float) -> Array:
            found = function(w, g, lr, warp, *weight_decay)
            options = {"η": lr} | ({"κ": weight_decay[0]} if weight_decay else {})
            setting = (warp.targets, warp.eps, warp.strength)
            self._note(part, w, setting, found, right(w, g, lr, warp, *weight_decay), options, g)
            return found

        return step

    def _scale(
        self, w: Array, targets: Targets, eps: float = 0.0, strength: Any = 1.0, cap: bool = False
    ) -> Array:
        found = self.subject.scale(w, targets, eps, strength, cap)
        expected = Subject().scale(w, targets, eps, strength, cap)
        self._note("scale", w, (targets, eps, strength), found, expected, {})
        return found

    def _nearest(self, w: Array, targets: Targets) -> Array:
        found = self.subject.nearest(w, targets)
        self._note("nearest", w, (targets, 0.0, 1.0), found, targets.nearest(w), {})
        return found

    def _warp(self, targets: Targets, eps: float = 0.0, strength: Any = 1.0, cap: bool = False) -> Any:
        warp, right = self.subject.warp(targets, eps, strength, cap), Warp(targets, eps, strength, cap)
        return _WatchedWarp(
            warp,
            lambda w, y: self._note("warp", w, (targets, eps, strength), y, right(w), {}),
        )

    def _note(
        self,
        part: str,
        w: Array,
        setting: tuple[Targets, float, Any],
        found: Array,
        expected: Array,
        options: dict[str, float],
        g: Array | None = None,
    ) -> None:
        places = [np.ravel(np.broadcast_to(x, np.shape(w))) for x in (w, found, expected)]
        forces = None if g is None else np.ravel(np.broadcast_to(g, np.shape(w)))
        for i, (at, out, right) in enumerate(zip(*places, strict=True)):
            if i == 100:  # a simulation of thousands of weights says no more than its first
                break
            extra = {} if forces is None else {"g": float(forces[i])}
            self.seen.append(Seen(part, float(at), setting, extra | options, float(out), float(right)))


class _WatchedWarp:
    """A warp whose values are noted; all else is passed on."""

    def __init__(self, warp: Any, note: Callable[[Array, Array], None]) -> None:
        self._warp = warp
        self._note = note

    def __call__(self, w: Array) -> Array:
        y: Array = self._warp(w)
        self._note(w, y)
        return y

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warp, name)


def words(subject: Subject, entry: Claim, name: str, inputs: Inputs) -> str:
    """Where on these inputs the subject differs most from the formula; "" where it differs nowhere."""
    watch = Watch(subject)
    # The failure itself is known: what counts is what was seen on the way to it.
    with contextlib.suppress(Exception):
        entry.law(watch.watched(), Replay(name, inputs))
    different = [seen for seen in watch.seen if seen.difference > _ROUNDING]
    return str(max(different, key=lambda seen: seen.difference)) if different else ""


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, int | float) else str(value)
