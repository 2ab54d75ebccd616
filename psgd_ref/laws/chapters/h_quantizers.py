"""Chapter H: quantizers."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import lambertw

from psgd_ref.core import FiniteTargets, Targets, UniformGrid
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.strategies import Placed, placed, powers, seeds, setups, uniform_grids
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.protocols import value_of
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial


@claim(
    "H1",
    "Quantizers",
    "Q is idempotent, monotone, the nearest target by brute force, odd on symmetric sets that contain zero, "
    "with |Q(w) − w| ≤ Δ/2 inside the range; ties go to the target an even number of places from the one "
    "nearest zero; its integers stand for these values",
    source="standard; the tie rule is ours",
    tests=("nearest", "quantizer"),
)
def quantizer(subject: Subject, trial: Trial) -> None:
    """Every property on any target set, in two precisions, and ties where they are exact."""

    @trial.holds(at=placed(setups(), beyond=4.0), single=st.booleans())
    def nearest(at: Placed, single: bool) -> None:
        dtype: Any = np.float32 if single else np.float64
        setting, w = at.setting, at.w.astype(dtype)
        u = float(np.finfo(dtype).eps)
        q = subject.nearest(w, setting.targets)
        trial.true(q.dtype == dtype, "Q keeps the dtype")
        trial.within(subject.nearest(q, setting.targets) - q, 0.0, "Q(Q(w)) = Q(w)")
        points = setting.points
        error = 4 * u * (np.abs(w) + np.abs(points).max() + setting.unit)
        inside = (
            (np.abs(w) <= np.abs(points).max() + setting.unit) if len(points) > 1 else np.ones(w.shape, bool)
        )
        best = np.abs(w[:, None].astype(float) - points).min(axis=1)
        trial.within(np.where(inside, np.abs(q - w.astype(float)) - best, 0), error, "no target is nearer")
        between = (w >= points[0]) & (w <= points[-1])
        trial.at_most(np.abs(q - w) * between, setting.widest / 2, error, "|Q(w) − w| ≤ Δ/2 inside the range")
        order = np.argsort(w)
        trial.true(np.diff(q[order]) >= 0, "Q is monotone")

    @trial.holds(at=placed(setups(uniform_grids())), listed=st.booleans())
    def odd(at: Placed, listed: bool) -> None:
        targets = FiniteTargets(at.setting.points) if listed else at.setting.targets
        q = subject.nearest(at.w, targets)
        trial.within(subject.nearest(-at.w, targets) + q, 0.0, "Q(−w) = −Q(w)")

    @trial.holds(
        k=st.integers(-6, 5), power=st.integers(-20, 20), kind=st.sampled_from(["lattice", "grid", "list"])
    )
    def ties(k: int, power: int, kind: str) -> None:
        # A power of two as the step makes the half-way point, and the comparison, exact.
        step = 2.0**power
        w, even = np.array([(k + 0.5) * step]), (k if k % 2 == 0 else k + 1) * step
        kinds: dict[str, Targets] = {
            "lattice": UniformGrid(step),
            "grid": UniformGrid(step, 7),
            "list": FiniteTargets(np.arange(-7, 8) * step),
        }
        trial.within(subject.nearest(w, kinds[kind]) - even, 0.0, "a tie goes to the even place")

    make = subject.quantizer
    if make is not None:

        @trial.holds(at=placed(setups()))
        def codes(at: Placed) -> None:
            setting, w = at.setting, at.w
            quantizer = make(setting.targets)
            integers = np.asarray(quantizer.codes(w))
            trial.true(integers.dtype.kind in "iu", "codes are integers")
            trial.true(integers.shape == w.shape, "codes have the shape of w")
            value, q = value_of(quantizer, w), setting.targets.nearest(w)
            error = 4 * rounding.UNIT * (np.abs(w) + np.abs(setting.points).max() + setting.unit)
            tie = 2 * np.abs(w - q) >= setting.widest - error  # which way a tie goes, `ties` says
            trial.within(np.where(tie, 0, value - q), error, "codes stand for the nearest target")
            if quantizer.levels is not None:
                levels = np.asarray(quantizer.levels, dtype=float)
                trial.true(levels.shape == setting.points.shape, "as many levels as targets")
                size = 4 * rounding.UNIT * np.abs(setting.points).max()
                trial.within(levels - setting.points, size, "levels are the targets")
                trial.true(np.isin(value, levels), "codes stand for levels")


@claim(
    "H2",
    "Quantizers of others",
    "ACIQ: α*/b = W(3·4^M); Bayesian Bits with open gates equals plain b-bit rounding up to ties; "
    "AdaptivFloat <n,e> has 2^(n−1) magnitudes with zero; LSQ's step gradient is v̄−v inside, −Q_n / Q_p "
    "outside, times 1/√(N·Q_p)",
    source="Banner 2019, van Baalen 2020, Tambe 2019, Esser 2020; first two closed forms ours",
    tests=("laplace_clip", "nested_rounding", "adaptive_magnitudes", "step_gradient"),
    needs=("laplace_clip", "nested_rounding", "adaptive_magnitudes", "step_gradient"),
)
def others(subject: Subject, trial: Trial) -> None:
    """Each method that the subject has, by itself; a method that it has not is left out."""
    clip, nested = subject.laplace_clip, subject.nested_rounding
    magnitudes, gradient = subject.adaptive_magnitudes, subject.step_gradient

    if clip is not None:

        @trial.holds(bits=st.integers(1, 10), other=powers(-1, 1))
        def aciq(bits: int, other: float) -> None:
            def error(a: float) -> float:
                return float(2 * np.exp(-a) + a * a / (3 * 4.0**bits))

            best = clip(bits)
            trial.within(best / lambertw(3 * 4.0**bits).real - 1, 1e-6, "α*/b = W(3·4^M)")
            trial.at_most(error(best), error(best * other), 1e-12, "no other clipping has a smaller error")

    if nested is not None:

        @trial.holds(seed=seeds, bits=st.sampled_from([2, 4, 8, 16]), reach=powers(-2, 2))
        def bayesian_bits(seed: int, bits: int, reach: float) -> None:
            w = np.random.default_rng(seed).uniform(-reach, reach, 20)
            step = 2 * reach / (2**bits - 1)
            # Rounding at each of up to four levels; a tie of one of them may go either way, by one step.
            tie = np.abs(np.abs(w / step - np.rint(w / step)) - 0.5) < 1e-6
            gap = nested(w, -reach, reach, bits) - step * np.rint(w / step)
            allowed = np.where(tie, step * (1 + 1e-6), 64 * rounding.UNIT * reach)
            trial.within(gap, allowed, "open gates: plain rounding")

    if magnitudes is not None:

        @trial.holds(bits=st.integers(3, 8), exponent=st.integers(1, 5), top=st.integers(-8, 8))
        def adaptive(bits: int, exponent: int, top: int) -> None:
            exponent = min(exponent, bits - 1)
            values = np.asarray(magnitudes(bits, exponent, top))
            mantissa = bits - 1 - exponent
            trial.within(len(np.unique(values)) - 2 ** (bits - 1), 0.0, "2^(n−1) magnitudes")
            trial.within(values.min(), 0.0, "zero is one of them")
            trial.within(values.max() / (2.0**top * (2 - 2.0**-mantissa)) - 1, 1e-12, "the largest magnitude")

    if gradient is not None:

        @trial.holds(seed=seeds, bits=st.integers(2, 8), step=powers(-2, 2))
        def lsq(seed: int, bits: int, step: float) -> None:
            low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
            v = np.random.default_rng(seed).uniform(1.5 * low - 1, 1.5 * high + 1, 20)
            expected = np.where(v <= low, low, np.where(v >= high, high, np.rint(v) - v))
            got = gradient(v * step, step, bits)
            error = 64 * rounding.UNIT * 2.0**bits
            trial.within(got - expected / np.sqrt(v.size * high), error, "LSQ's step gradient")
