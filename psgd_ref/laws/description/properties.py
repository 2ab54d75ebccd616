"""The properties of a quantizer, each by itself, with the smallest tensor that it fails on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.laws.description.finding import NO, ROUNDING, UNKNOWN, YES, Finding, digits, smaller, text
from psgd_ref.laws.description.staircase import Run, Staircase

# Values of which the smallest tensors are made; more entries take fewer of them.
_VALUES = (0.0, 1.0, -1.0, 0.5, -0.5, 0.25, -0.75, 0.3, -0.7, -0.25, 0.75, 0.125, -0.375)
_RANDOM = 30


@dataclass
class Probe:
    """A quantizer on bare tensors (n,), each looked at once.

    Parameters
    ----------
    run
        Q as values.
    step_of
        Δ of a tensor; None where it is not known.
    """

    run: Run
    step_of: Callable[[Array], float | None]
    dtype: Any
    seen: dict[bytes, Array | None] = field(default_factory=dict)

    def __call__(self, w: Array) -> Array:
        """Q(w); raises _DeclinedError where the quantizer raises."""
        key = w.tobytes()
        if key not in self.seen:
            try:
                self.seen[key] = self.run(w)
            except Exception:
                self.seen[key] = None
        q = self.seen[key]
        if q is None:
            raise _DeclinedError
        return q


class _DeclinedError(Exception):
    """The quantizer does not take a tensor."""


# A property: the error of each weight, and what the property asks for there.
Test = Callable[[Probe, Array], tuple[Array, str]]


def _idempotent(probe: Probe, w: Array) -> tuple[Array, str]:
    again = probe(probe(w))
    return again - probe(w), f"Q(Q(w)) = {text(again)}"


def _odd(probe: Probe, w: Array) -> tuple[Array, str]:
    negative = probe(-w)
    return negative + probe(w), f"Q(−w) = {text(negative)}"


def _reversible(probe: Probe, w: Array) -> tuple[Array, str]:
    back = probe(w[::-1].copy())[::-1]
    return back - probe(w), f"with its entries reversed {text(back)}"


def _monotone(probe: Probe, w: Array) -> tuple[Array, str]:
    order = np.argsort(w, kind="stable")
    rises = np.diff(probe(w)[order])
    same = np.diff(w[order]) == 0
    return np.where(same, np.abs(rises), np.maximum(-rises, 0)), "falls where w rises"


def _half_step(probe: Probe, w: Array) -> tuple[Array, str]:
    step = probe.step_of(w)
    if step is None:
        raise _DeclinedError
    allowed = step / 2 + 4 * np.finfo(probe.dtype).eps * np.abs(w).max(initial=0)
    error = np.maximum(np.abs(probe(w).astype(np.float64) - w) - allowed, 0)
    return error, f"farther than Δ/2 = {step / 2:.6g}"


def _zero(probe: Probe, w: Array) -> tuple[Array, str]:
    return np.where(w == 0, probe(w), 0), "0 must stay 0"


def _extremes(probe: Probe, w: Array) -> tuple[Array, str]:
    m = np.abs(w).max(initial=0)
    return np.where(np.abs(w) == m, probe(w) - w, 0), "±max|w| must come back"


def _deterministic(probe: Probe, w: Array) -> tuple[Array, str]:
    first = probe(w)
    again = [probe.run(w) for _ in range(3)]
    other = next((q for q in again if not np.array_equal(q, first, equal_nan=True)), first)
    return np.where(np.isnan(other) & np.isnan(first), 0, other - first), f"and then {text(other)}"


def _finite(probe: Probe, w: Array) -> tuple[Array, str]:
    return np.where(np.isfinite(probe(w)), 0, np.inf), "must be finite"


TESTS: dict[str, Test] = {
    "deterministic": _deterministic,
    "idempotent": _idempotent,
    "odd": _odd,
    "order-free": _reversible,
    "monotone": _monotone,
    "half step": _half_step,
    "zero exact": _zero,
    "extremes exact": _extremes,
}


def findings(probe: Probe, large: list[Array]) -> list[Finding]:
    """Every property in turn, on tensors from the smallest upwards.

    Parameters
    ----------
    large
        Tensors from whose values the step can be read, where it is not known by a rule.
    """
    tensors = list(_tensors(probe.dtype))
    found = [
        # Chance shows on any tensor, and trying it takes passes that nothing else needs.
        _finding(probe, name, test, tensors[::6] if test is _deterministic else tensors)
        for name, test in TESTS.items()
    ]
    found = [_half_step_seen(probe, large) if f == Finding("half step", UNKNOWN) else f for f in found]
    found.append(_finding(probe, "finite", _finite, _extreme_sizes(probe.dtype)))
    return [*found, _steady(probe)]


def _finding(probe: Probe, name: str, test: Test, tensors: list[Array]) -> Finding:
    """The verdict by the worst tensor; the counter-example is the first, smallest, of that verdict."""
    rounding = 1e-6 if probe.dtype == np.float32 else 1e-12
    tried, worst = 0, 0.0
    shown: dict[str, Array] = {}
    for w in tensors:
        off = _off(probe, test, w)
        if off is None:
            continue
        tried += 1
        worst = max(worst, off)
        if off > 0:
            shown.setdefault(NO if off > rounding else ROUNDING, w)
    if not tried:
        return Finding(name, UNKNOWN)
    verdict = NO if NO in shown else ROUNDING if shown else YES
    if verdict == YES:
        return Finding(name, YES)
    least = rounding if verdict == NO else 0.0
    w = smaller(shown[verdict], lambda x: (_off(probe, test, x) or 0.0) > least)
    return Finding(name, verdict, worst, w, probe(w), _instead(probe, test, w))


def _instead(probe: Probe, test: Test, w: Array) -> str:
    """What the test says where it is off; a quantizer by chance may be right a few times."""
    for _ in range(50):
        error, said = test(probe, w)
        if not np.all(error == 0):
            break
    return said


def _half_step_seen(probe: Probe, large: list[Array]) -> Finding:
    """Half a step, the step read off the values of large tensors: the weight that is farthest off."""
    name, measured = "half step", False
    for w in large:
        q = probe.run(w).astype(np.float64)
        stair = Staircase.of(q)
        if stair.step is None or not stair.even:
            continue
        measured = True
        excess = np.abs(q - w) - stair.step / 2
        at = [int(np.argmax(excess))]
        off = float(excess[at[0]] / np.abs(w).max())
        if off > 1e-4:
            said = f"in a tensor of {len(w)} with max|w| = {np.abs(w).max():.6g}, Δ/2 = {stair.step / 2:.6g}"
            return Finding(name, NO, off, w[at], q[at], said)
    return Finding(name, YES if measured else UNKNOWN)


def _off(probe: Probe, test: Test, w: Array) -> float | None:
    """The largest error as a fraction of max|w|; infinite for NaN or infinity, None where w is not taken."""
    try:
        with np.errstate(all="ignore"):
            error = float(np.abs(np.asarray(test(probe, w)[0], dtype=np.float64)).max(initial=0.0))
    except _DeclinedError:
        return None
    largest = float(np.abs(w).max(initial=0.0))
    if np.isnan(error):
        return float("inf")
    return error / largest if largest else error


def _tensors(dtype: Any) -> Iterator[Array]:
    for size, count in ((1, len(_VALUES)), (2, 9), (3, 4)):
        for entries in product(_VALUES[:count], repeat=size):
            if any(entries):
                yield np.array(entries, dtype)
    rng = np.random.default_rng(3)
    for i in range(_RANDOM):
        yield (rng.standard_normal(4 + i % 9) * 10.0 ** rng.uniform(-3, 3)).astype(dtype)


def _extreme_sizes(dtype: Any) -> list[Array]:
    limits = np.finfo(dtype)
    # Not the largest number itself, to which a step that was rounded up need not lead back.
    large, tiny = 0.9 * float(limits.max), float(limits.smallest_subnormal)
    shapes = ([1.0], [-1.0], [1.0, -1.0], [1.0, -0.5, 0.25])
    return [
        np.array(shape, dtype) * dtype.type(size) for size in (large, tiny, limits.tiny) for shape in shapes
    ]


def _steady(probe: Probe) -> Finding:
    """Whether ±max|w| goes to the same code whatever the last bits of max|w|, hence of the scale, are."""
    name = "extremes steady"
    sizes = np.random.default_rng(5).uniform(1.4, 1.4 + 1e-5, 100)
    for sign in (-1.0, 1.0):
        first: tuple[float, Array, Array] | None = None
        for size in sizes:
            w = (np.array([sign, 0.25, -sign]) * size).astype(probe.dtype)
            try:
                q, step = probe(w), probe.step_of(w)
            except _DeclinedError:
                return Finding(name, UNKNOWN)
            share = float(q[0] / w[0])
            jump = 0.25 * (step / size if step else 0.05)
            if first is not None and abs(share - first[0]) > jump:
                said = f"but w = {digits(w)} gives {text(q)}"
                return Finding(name, NO, abs(share - first[0]), first[1], first[2], said)
            first = first or (share, w, q)
    return Finding(name, YES)
