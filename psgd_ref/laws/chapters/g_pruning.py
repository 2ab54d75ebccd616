"""Chapter G: pruning, and scales that come from a change of variables."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import Zero
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.strategies import Push, powers, pushes, seeds, setups
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

POWERPROPAGATION = claim(
    "G1",
    "Powerpropagation",
    "with T = {0}, ε = 0 warped GD is exactly Powerpropagation (w = θ|θ|^(α−1)) with α = 2 at step ηλ/4, "
    "and PSGD equals it to first order; in general s ∝ |w|^p, 0 ≤ p < 2, is α = 2/(2−p)",
    tests=("psgd_step", "warped_step", "formulas.powerpropagation_scale", "formulas.powerpropagation_alpha"),
)


@POWERPROPAGATION.holds(push=pushes(setups(st.just(Zero()), eps="zero")))
def step(subject: Subject, trial: Trial, push: Push) -> None:
    """One step in θ against one step of each, for any step size."""
    w, g, lr, warp = push.w, push.g, push.lr, push.setting.warp
    theta = np.copysign(np.sqrt(np.abs(w)), w)
    theta = theta - lr * push.setting.strength / 4 * 2 * np.abs(theta) * g
    there = theta * np.abs(theta)
    error = 64 * rounding.UNIT * (1 + push.t**2) * np.abs(w) + rounding.TINY
    trial.within(subject.warped_step(w, g, lr, warp) - there, error, "warped GD is Powerpropagation")
    # Where θ crosses zero the remainder keeps its size but not its sign.
    first = np.abs(subject.psgd_step(w, g, lr, warp) - there)
    trial.at_most(first, push.t**2 / 4 * np.abs(w), error, "PSGD equals it up to t²|w|/4")


@POWERPROPAGATION.holds(theta=powers(-2, 2), power=st.floats(0, 1.8), negative=st.booleans())
def exponents(subject: Subject, trial: Trial, theta: float, power: float, negative: bool) -> None:
    """The scale of other exponents."""
    alpha = subject.formulas.powerpropagation_alpha(power)
    side, h = -1.0 if negative else 1.0, 1e-5 * theta

    def w(x: float) -> float:
        return float(x * np.abs(x) ** (alpha - 1))

    slope = (w(side * theta + h) - w(side * theta - h)) / (2 * h)
    s = subject.formulas.powerpropagation_scale(np.array([w(side * theta)]), alpha)[0]
    trial.within(s / slope**2 - 1, 1e-8 * alpha**2 + 1e-9, "s = (∂w/∂θ)²")
    double = subject.formulas.powerpropagation_scale(np.array([2 * w(side * theta)]), alpha)[0]
    trial.within(double / s - 2**power, 1e-11, "α = 2/(2 − p) gives s ∝ |w|^p")


DIFFERENCE_OF_SQUARES = claim(
    "G2",
    "Difference of squares",
    "with w = u² − v² the flow has s = 4√(w² + 4(uv)²), and it conserves uv, which plays the part of ε; a "
    "step of descent in u and v moves w by −ηsg + 4η²g²w and multiplies uv by 1 − 4η²g²",
    tests=("formulas.difference_of_squares_scale",),
)
_factors: dict[str, Any] = {
    "u": powers(-2, 2),
    "v": powers(-2, 2),
    "signs": st.sampled_from([(1, 1), (1, -1), (-1, 1), (-1, -1)]),
}


@DIFFERENCE_OF_SQUARES.holds(**_factors, t=st.floats(-1, 1))
def scale(subject: Subject, trial: Trial, u: float, v: float, signs: tuple[int, int], t: float) -> None:
    """The scale from the derivatives, and one step in both coordinates."""
    a, b = signs[0] * u, signs[1] * v
    s = subject.formulas.difference_of_squares_scale(np.array([a * a - b * b]), np.array([a * b]))[0]
    trial.within(s / ((2 * a) ** 2 + (2 * b) ** 2) - 1, 1e-9, "s = (∂w/∂u)² + (∂w/∂v)²")
    rest = subject.formulas.difference_of_squares_scale(np.zeros(1), np.array([a * b]))[0]
    trial.within(rest - 8 * abs(a * b), 1e-12 * rest, "s(0) = 8|uv|: the product acts as ε does")
    # t = ηg, in 1/weights of w: a step in u is −2ηug, in v +2ηvg.
    there, w = (a - 2 * t * a, b + 2 * t * b), a * a - b * b
    size = 1e-9 * (a * a + b * b) * (1 + t * t)
    moved = there[0] ** 2 - there[1] ** 2 - (w - t * s + 4 * t * t * w)
    trial.within(moved, size, "a step in u and v moves w by −ηsg + 4η²g²w")
    product = there[0] * there[1] - a * b * (1 - 4 * t * t)
    trial.within(product, size, "a step in u and v multiplies uv by 1 − 4η²g²")


@DIFFERENCE_OF_SQUARES.holds(cost=5, u=st.floats(0.3, 1.5), v=st.floats(0.3, 1.5), c=st.floats(-2, 2))
def flow(subject: Subject, trial: Trial, u: float, v: float, c: float) -> None:
    """One flow computed in both coordinates, and the conserved product."""

    def both(x: Array) -> Array:
        g = x[0] ** 2 - x[1] ** 2 - c
        return np.array([-2 * x[0] * g, 2 * x[1] * g])

    def one(w: Array) -> Array:
        return np.asarray(-subject.formulas.difference_of_squares_scale(w, np.array([u * v])) * (w - c))

    x, w = np.array([u, v]), np.array([u * u - v * v])
    h = 0.2 / (4 * (x @ x + abs(c) + 1))
    for _ in range(20):
        x, w = x + _runge_kutta(both, x, h), w + _runge_kutta(one, w, h)
    trial.within(x[0] * x[1] / (u * v) - 1, 1e-4, "the flow conserves uv")
    trial.within(x[0] ** 2 - x[1] ** 2 - w, 1e-4 * (1 + abs(c)), "the flow of w has that s")


def _runge_kutta(slope: Callable[[Array], Array], x: Array, h: float) -> Array:
    a = slope(x)
    b = slope(x + h / 2 * a)
    c = slope(x + h / 2 * b)
    return np.asarray(h / 6 * (a + 2 * b + 2 * c + slope(x + h * c)))


MAGNITUDE_PRUNING = claim(
    "G3",
    "Magnitude pruning",
    "setting k weights of the smallest |w_i| to zero gives a nearest vector with at least k zeros, Σd² at "
    "its least for T = {0}; the others stay as they are, pruning in stages is pruning once, and neither "
    "signs nor chance play a part, ties included",
    source="standard",
    tests=("prune",),
    needs=("prune",),
)
_sizes = st.lists(st.integers(1, 30), min_size=1, max_size=12)
_sparsities = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1, allow_subnormal=False))


@MAGNITUDE_PRUNING.holds(part="prune", sizes=_sizes, unit=powers(-6, 6), sparsity=_sparsities, seed=seeds)
def nearest_sparse(
    subject: Subject, trial: Trial, sizes: list[int], unit: float, sparsity: float, seed: int
) -> None:
    """The squared distance by brute force, and the count of zeros, with ties and without."""
    prune: Any = subject.prune
    w = unit * np.array(sizes) * np.random.default_rng(seed).choice([-1.0, 1.0], len(sizes))
    pruned = prune(w, sparsity)
    zeros = pruned == 0
    share = sparsity * len(w)
    trial.within(zeros.sum() - share, 1 - 1e-9, "the share of zeros is the sparsity, to one weight")
    trial.within(np.where(zeros, 0, pruned - w), 0.0, "the other weights stay as they are")
    least = np.sort(w**2)[: zeros.sum()].sum()
    error = 1e-12 * (w**2).sum()
    trial.at_most(np.sum(w[zeros] ** 2), least, error, "no vector with as many zeros is nearer")
    trial.within(prune(pruned, sparsity) - pruned, 0.0, "pruning twice is pruning once")


@MAGNITUDE_PRUNING.holds(part="prune", seed=seeds, n=st.integers(1, 12), first=_sparsities, then=_sparsities)
def stages(subject: Subject, trial: Trial, seed: int, n: int, first: float, then: float) -> None:
    """Stages and signs, without ties."""
    prune: Any = subject.prune
    rng = np.random.default_rng(seed)
    w = rng.permutation(np.arange(1.0, n + 1)) * rng.choice([-1.0, 1.0], n)
    less, more = min(first, then), max(first, then)
    trial.within(prune(prune(w, less), more) - prune(w, more), 0.0, "in stages as at once")
    trial.within(prune(-w, more) + prune(w, more), 0.0, "signs play no part")


@MAGNITUDE_PRUNING.holds(part="prune", seed=seeds, n=st.integers(6, 16), half=st.integers(1, 2))
def ties(subject: Subject, trial: Trial, seed: int, n: int, half: int) -> None:
    """Weights of one or two sizes: which of equal ones are pruned is up to neither signs nor chance."""
    prune: Any = subject.prune
    rng = np.random.default_rng(seed)
    w = rng.integers(1, half + 1, n) * rng.choice([-1.0, 1.0], n)
    once = prune(w, 0.5)
    for _ in range(3):
        trial.within(prune(w, 0.5) - once, 0.0, "the same weights, the same pruned ones")
    kept = once != 0
    for signs in (-1.0, rng.choice([-1.0, 1.0], n), 1.0):
        turned = prune(np.abs(w) * signs, 0.5) != 0
        trial.true(turned == kept, "signs play no part, among equal weights either")
