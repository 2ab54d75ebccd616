"""Chapter H: quantizers."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import lambertw

from psgd_ref.core import FiniteTargets, Targets, UniformGrid
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.strategies import Placed, placed, powers, seeds, setups, uniform_grids
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.protocols import value_of
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

QUANTIZERS = claim(
    "H1",
    "Quantizers",
    "Q is idempotent, monotone, the nearest target by brute force, odd on symmetric sets that contain zero, "
    "with |Q(w) − w| ≤ Δ/2 inside the range; ties go to the target an even number of places from the one "
    "nearest zero; its integers stand for these values",
    source="standard; the tie rule is ours",
    tests=("nearest", "quantizer"),
    each=True,
)


@QUANTIZERS.holds(at=placed(setups(uniform_grids())), listed=st.booleans())
def odd(subject: Subject, trial: Trial, at: Placed, listed: bool) -> None:
    """Oddness on symmetric sets that contain zero, as a grid and as a list."""
    targets = FiniteTargets(at.setting.points) if listed else at.setting.targets
    q = subject.nearest(at.w, targets)
    trial.within(subject.nearest(-at.w, targets) + q, 0.0, "Q(−w) = −Q(w)")


@QUANTIZERS.holds(
    k=st.integers(-6, 5), power=st.integers(-20, 20), kind=st.sampled_from(["lattice", "grid", "list"])
)
def ties(subject: Subject, trial: Trial, k: int, power: int, kind: str) -> None:
    """Ties where they are exact: a power of two as the step makes the half-way point exact."""
    step = 2.0**power
    w, even = np.array([(k + 0.5) * step]), (k if k % 2 == 0 else k + 1) * step
    kinds: dict[str, Targets] = {
        "lattice": UniformGrid(step),
        "grid": UniformGrid(step, 7),
        "list": FiniteTargets(np.arange(-7, 8) * step),
    }
    trial.within(subject.nearest(w, kinds[kind]) - even, 0.0, "a tie goes to the even place")


@QUANTIZERS.holds(part="quantizer", at=placed(setups()))
def codes(subject: Subject, trial: Trial, at: Placed) -> None:
    """The integers."""
    make: Any = subject.quantizer
    setting, w = at.setting, at.w
    quantizer = make(setting.targets)
    integers = np.asarray(quantizer.codes(w))
    trial.true(integers.dtype.kind in "iu", "codes are integers")
    trial.true(integers.shape == w.shape, "codes have the shape of w")
    value, q = value_of(quantizer, w), setting.targets.nearest(w)
    error = 4 * rounding.UNIT * (np.abs(w) + np.abs(setting.points).max() + setting.unit)
    tie = 2 * np.abs(w - q) >= setting.widest - error  # which way a tie goes, `ties` says
    if not setting.endless:
        tie = tie & (w >= setting.points[0]) & (w <= setting.points[-1])  # beyond the ends there is none
    trial.within(np.where(tie, 0, value - q), error, "codes stand for the nearest target")
    if quantizer.levels is not None:
        levels = np.asarray(quantizer.levels, dtype=float)
        trial.true(levels.shape == setting.points.shape, "as many levels as targets")
        size = 4 * rounding.UNIT * np.abs(setting.points).max()
        trial.within(levels - setting.points, size, "levels are the targets")
        trial.true(np.isin(value, levels), "codes stand for levels")


_ANYWHERE: dict[str, Any] = {"at": placed(setups(), beyond=4.0), "single": st.booleans()}
"""Weights on any target set, in two precisions."""


def _seen(subject: Subject, at: Placed, single: bool) -> tuple[Array, Array, float]:
    """Weights, Q of them, and how far rounding may move a value, as a fraction of its size."""
    dtype: Any = np.float32 if single else np.float64
    w = at.w.astype(dtype)
    return w, subject.nearest(w, at.setting.targets), float(np.finfo(dtype).eps)


def _rounding(w: Array, at: Placed, u: float) -> Array:
    return np.asarray(4 * u * (np.abs(w) + np.abs(at.setting.points).max() + at.setting.unit))


@QUANTIZERS.holds(**_ANYWHERE)
def nearest(subject: Subject, trial: Trial, at: Placed, single: bool) -> None:
    """The nearest target by brute force, in the dtype of the weights."""
    w, q, u = _seen(subject, at, single)
    points = at.setting.points
    trial.true(q.dtype == w.dtype, "Q keeps the dtype")
    inside = (
        (np.abs(w) <= np.abs(points).max() + at.setting.unit) if len(points) > 1 else np.ones(w.shape, bool)
    )
    best = np.abs(w[:, None].astype(float) - points).min(axis=1)
    gap = np.where(inside, np.abs(q - w.astype(float)) - best, 0)
    trial.within(gap, _rounding(w, at, u), "no target is nearer")


@QUANTIZERS.holds(cost=2, **_ANYWHERE)
def idempotent(subject: Subject, trial: Trial, at: Placed, single: bool) -> None:
    """A second pass moves nothing."""
    _, q, _ = _seen(subject, at, single)
    trial.within(subject.nearest(q, at.setting.targets) - q, 0.0, "Q(Q(w)) = Q(w)")


@QUANTIZERS.holds(cost=2, **_ANYWHERE)
def monotone(subject: Subject, trial: Trial, at: Placed, single: bool) -> None:
    """Order is kept."""
    w, q, _ = _seen(subject, at, single)
    trial.true(np.diff(q[np.argsort(w)]) >= 0, "Q is monotone")


@QUANTIZERS.holds(cost=2, **_ANYWHERE)
def half_step(subject: Subject, trial: Trial, at: Placed, single: bool) -> None:
    """Half a step inside the range, the widest where gaps differ."""
    w, q, u = _seen(subject, at, single)
    points = at.setting.points
    between = (w >= points[0]) & (w <= points[-1])
    error = _rounding(w, at, u)
    trial.at_most(np.abs(q - w) * between, at.setting.widest / 2, error, "|Q(w) − w| ≤ Δ/2 inside the range")


@QUANTIZERS.holds(cost=2, **_ANYWHERE)
def within_ends(subject: Subject, trial: Trial, at: Placed, single: bool) -> None:
    """Beyond the range, its ends."""
    w, q, u = _seen(subject, at, single)
    error, points = _rounding(w, at, u), at.setting.points
    fine = (points.min() - error <= q) & (q <= points.max() + error)
    trial.true(at.setting.endless or fine.all(), "Q(w) is no farther than the ends")


@QUANTIZERS.holds(cost=4, at=placed(setups()))
def targets_exact(subject: Subject, trial: Trial, at: Placed) -> None:
    """Every target comes back to the rounding of its value: zero as zero, and both ends."""
    points = np.asarray(at.setting.points, dtype=float)
    q = subject.nearest(points, at.setting.targets)
    trial.within(np.where(points == 0, q, 0), 0.0, "zero stays zero")
    size = 4 * rounding.UNIT * np.abs(points).max()
    trial.within((q - points)[[0, -1]], size, "the extremes come back")


OTHERS = claim(
    "H2",
    "Quantizers of others",
    "ACIQ: the least of its error formula 2e^(−a) + a²/(3·4^M), a = α/b, is at W(3·4^M), 4 to 8 % below "
    "the best clip of true rounding to 2^M midpoints for M ≤ 4, whose squared error is at most 1.4 % "
    "smaller; Bayesian Bits with open gates equals plain b-bit rounding up to ties; AdaptivFloat <n,e> has "
    "2^(n−1) magnitudes with zero; LSQ's step gradient is v̄−v inside, −Q_n / Q_p outside, times 1/√(N·Q_p)",
    source="Banner 2019, van Baalen 2020, Tambe 2019, Esser 2020; first two closed forms ours",
    tests=("laplace_clip", "nested_rounding", "adaptive_magnitudes", "step_gradient"),
    needs=("laplace_clip", "nested_rounding", "adaptive_magnitudes", "step_gradient"),
)


def _true_error(a: float, bits: int) -> float:
    """Squared error of a Laplace variable, b = 1, clipped at a and rounded to 2^bits midpoints, exactly."""
    edges = np.linspace(0, a, 2 ** (bits - 1) + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    edges = np.append(edges[:-1], np.inf)

    def primitive(x: Array, m: Array) -> Array:
        """−∫ (x − m)² e^(−x) dx."""
        return np.where(np.isinf(x), 0.0, np.exp(-x) * ((np.where(np.isinf(x), 0, x) - m + 1) ** 2 + 1))

    return float(np.sum(primitive(edges[:-1], middles) - primitive(edges[1:], middles)))


@OTHERS.holds(part="laplace_clip", bits=st.integers(1, 10), other=powers(-1, 1))
def aciq(subject: Subject, trial: Trial, bits: int, other: float) -> None:
    """ACIQ's optimum by its error formula, and against the true error of rounding."""
    clip: Any = subject.laplace_clip

    def error(a: float) -> float:
        return float(2 * np.exp(-a) + a * a / (3 * 4.0**bits))

    best = clip(bits)
    trial.within(best / lambertw(3 * 4.0**bits).real - 1, 1e-6, "α*/b = W(3·4^M)")
    trial.at_most(
        error(best), error(best * other), 1e-12, "no other clipping has a smaller error, as estimated"
    )
    if bits <= 4:
        found = minimize_scalar(
            lambda a: _true_error(a, bits), bounds=(0.5 * best, 2 * best), method="bounded"
        )
        trial.within(best / found.x - 0.942, 0.0225, "W is 4 to 8 % below the best clip of true rounding")
        loss = _true_error(best, bits) / found.fun - 1
        trial.at_most(loss, 0.0145, 0.0, "its true error is at most 1.4 % above the least")


@OTHERS.holds(part="nested_rounding", seed=seeds, bits=st.sampled_from([2, 4, 8, 16]), reach=powers(-2, 2))
def bayesian_bits(subject: Subject, trial: Trial, seed: int, bits: int, reach: float) -> None:
    """Open gates against plain rounding."""
    nested: Any = subject.nested_rounding
    w = np.random.default_rng(seed).uniform(-reach, reach, 20)
    step = 2 * reach / (2**bits - 1)
    # Rounding at each of up to four levels; a tie of one of them may go either way, by one step.
    tie = np.abs(np.abs(w / step - np.rint(w / step)) - 0.5) < 1e-6
    gap = nested(w, -reach, reach, bits) - step * np.rint(w / step)
    allowed = np.where(tie, step * (1 + 1e-6), 64 * rounding.UNIT * reach)
    trial.within(gap, allowed, "open gates: plain rounding")


@OTHERS.holds(
    part="adaptive_magnitudes", bits=st.integers(3, 8), exponent=st.integers(1, 5), top=st.integers(-8, 8)
)
def adaptive(subject: Subject, trial: Trial, bits: int, exponent: int, top: int) -> None:
    """How many magnitudes AdaptivFloat has, and the ends of their range."""
    magnitudes: Any = subject.adaptive_magnitudes
    exponent = min(exponent, bits - 1)
    values = np.asarray(magnitudes(bits, exponent, top))
    mantissa = bits - 1 - exponent
    trial.within(len(np.unique(values)) - 2 ** (bits - 1), 0.0, "2^(n−1) magnitudes")
    trial.within(values.min(), 0.0, "zero is one of them")
    trial.within(values.max() / (2.0**top * (2 - 2.0**-mantissa)) - 1, 1e-12, "the largest magnitude")


@OTHERS.holds(part="step_gradient", seed=seeds, bits=st.integers(2, 8), step=powers(-2, 2))
def lsq(subject: Subject, trial: Trial, seed: int, bits: int, step: float) -> None:
    """LSQ's gradient of the step, inside the range and outside."""
    gradient: Any = subject.step_gradient
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    v = np.random.default_rng(seed).uniform(1.5 * low - 1, 1.5 * high + 1, 20)
    expected = np.where(v <= low, low, np.where(v >= high, high, np.rint(v) - v))
    got = gradient(v * step, step, bits)
    error = 64 * rounding.UNIT * 2.0**bits
    trial.within(got - expected / np.sqrt(v.size * high), error, "LSQ's step gradient")
