"""What a step is to first and second order in the rate, found by trying it in float64.

w⁺ = w − η d(w, g) + O(η²), from a fresh state.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array

Step = Callable[[Array, Array, float], Array]
Direction = Callable[[Array, Array], Array]

# Small enough for the first order, large enough for the digits of float64; and one at which the second shows.
_SMALL, _LARGER = 1e-6, 1e-3
# Relative error up to which a formula counts as right.
_NEAR = 1e-2
_SIZES = (6, 16)
_DIGITS = 3


def _norm(x: Array) -> Any:
    return np.linalg.norm(x)


# s(w) of the directions s(w) g that act on each weight alone, with its slope.
SCALES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "g": (np.ones_like, np.zeros_like),
    "|w| g": (np.abs, np.sign),
    "w² g": (np.square, lambda w: 2 * w),
    "(1−w²)² g": (lambda w: (1 - w**2) ** 2, lambda w: -4 * w * (1 - w**2)),
}
# Directions that know all weights.
WHOLE: dict[str, Direction] = {
    "‖w‖ g": lambda w, g: _norm(w) * g,
    "rms(w) g": lambda w, g: np.sqrt(np.mean(w**2)) * g,
    "‖w‖ g/‖g‖": lambda w, g: _norm(w) * g / _norm(g),
    "rms(w) g/‖g‖": lambda w, g: np.sqrt(np.mean(w**2)) * g / _norm(g),
    "rms(w) sign g": lambda w, g: np.sqrt(np.mean(w**2)) * np.sign(g),
    "g/‖g‖": lambda w, g: g / _norm(g),
    "sign g": lambda w, g: np.sign(g),
}


def first_step(step: Step) -> dict[str, Any]:
    """What a step is.

    Returns
    -------
    dict
        "direction", d(w, g) by the first formula of `SCALES` and `WHOLE` that is right up to a factor, or
        "unknown", and "factor". "linear", whether d is linear in g; "degree", p where d(cw, g) = c^p d(w, g),
        or None; "own weight", whether an entry of d depends on its own weight and gradient alone. "order":
        c in w⁺ = w − ηsg + c η² s s′ g² of a direction in `SCALES` whose s′ is not 0, or None. "rests":
        how far g = 0 moves a weight, as a fraction of it; "zero stays": whether a weight at 0 does under a
        gradient, None where there can be none.
    """

    def direction(w: Array, g: Array) -> Array:
        return np.asarray((w - step(w, g, _SMALL)) / _SMALL)

    w, g = next(_inputs())
    half = w * (np.arange(len(w)) % 2)
    other = np.where(half == 0, w, -w / 2), np.where(half == 0, g, 2 * g)
    name, factor = _formula(direction)
    return {
        "direction": name,
        "factor": factor,
        "linear": _close(direction(w, 2 * g + 1), 2 * direction(w, g) + direction(w, np.ones_like(g))),
        "degree": _degree(direction, w, g),
        "own weight": _close(direction(*other)[half == 0], direction(w, g)[half == 0]),
        "order": _order(step, name, factor),
        "rests": _short(np.abs(step(w, np.zeros_like(g), _LARGER) / w - 1).max()),
        "zero stays": _zero_stays(step, half, g),
    }


def _zero_stays(step: Step, w: Array, g: Array) -> bool | None:
    with suppress(NotImplementedError):
        return bool((step(w, g, _LARGER)[w == 0] == 0).all())
    return None


def _inputs() -> Iterator[tuple[Array, Array]]:
    """Weights inside (−1, 1) and gradients, in two sizes, so that a sum is told from a mean."""
    random = np.random.default_rng(0)
    for size in _SIZES:
        w = random.uniform(0.1, 0.8, size) * random.choice([-1, 1], size)
        yield w, random.normal(size=size)


def _close(found: Array, wanted: Array) -> bool:
    return bool(np.abs(found - wanted).max() <= _NEAR * np.abs(wanted).max())


def _formula(direction: Direction) -> tuple[str, float | None]:
    pairs = [(w, g, direction(w, g)) for w, g in _inputs()]
    formulas: dict[str, Direction] = {
        name: lambda w, g, s=s: s(w) * g for name, (s, _) in SCALES.items()
    } | WHOLE
    for name, formula in formulas.items():
        ratios = np.concatenate([found / formula(w, g) for w, g, found in pairs])
        factor = float(np.median(ratios))
        if factor != 0 and np.abs(ratios / factor - 1).max() <= _NEAR:
            return name, _short(factor)
    return "unknown", None


def _degree(direction: Direction, w: Array, g: Array) -> float | None:
    """Nothing near 1 is asked for: some know weights inside (−1, 1) alone."""
    plain, found = direction(w, g), []
    for factor in (1 / 2, 1 / 3):
        with np.errstate(all="ignore"):
            powers = np.log(direction(factor * w, g) / plain) / np.log(factor)
        if not np.isfinite(powers).all() or np.ptp(powers) > _NEAR:
            return None
        found.append(float(powers.mean()))
    return None if abs(found[0] - found[1]) > _NEAR else round(found[0], _DIGITS - 1) + 0.0


def _order(step: Step, name: str, factor: float | None) -> float | None:
    w, g = next(_inputs())
    if name not in SCALES or factor is None or not SCALES[name][1](w).any():
        return None
    s, slope = (factor * part(w) for part in SCALES[name])
    term = _LARGER**2 * s * slope * g**2
    return round(float(np.median((step(w, g, _LARGER) - (w - _LARGER * s * g)) / term)), _DIGITS - 1) + 0.0


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
