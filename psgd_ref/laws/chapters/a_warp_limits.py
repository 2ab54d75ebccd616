"""Chapter A, second half: a scale that belongs to no warp, and the end of the grid."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.losses import Quadratic, quadratics
from psgd_ref.laws.drawing.strategies import (
    Setting,
    powers,
    seeds,
    setups,
    shares,
    target_sets,
    uneven_targets,
    uniform_grids,
)
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

_several = target_sets(several=True)
NO_WARP = claim(
    "A4",
    "Max-normalised scaling has no warp",
    "at ε = 0 and s_i = λ d_i / max_j d_j, for two weights or more off their targets, with one largest d = "
    "z, the ruler Σ dw_i²/s_i has the sectional curvature λ/4z² ≠ 0 in the plane of that weight and any "
    "other, so s belongs to no change of coordinates, elementwise or mixing, and Theorem 1 does not cover "
    "it; s_i changes with another weight if that has, or comes to have, the largest d",
    tests=("scale",),
)
_uncapped = setups(_several, eps="zero", cap=False)


@NO_WARP.holds(setting=_uncapped, x=st.floats(0.01, 0.2), y=st.floats(0.21, 0.3))
def depends_on_others(subject: Subject, trial: Trial, setting: Setting, x: float, y: float) -> None:
    """The rule itself, and the dependence of one weight's scale on another, the largest, and on no third."""
    low, gap = setting.points[0], np.diff(setting.points)[0]

    def s(*places: float) -> Array:
        return subject.scale(low + gap * np.array(places), setting.targets, 0.0, "max-normalised", False)

    error = 64 * rounding.UNIT * (1 + np.abs(low) / (gap * x))
    trial.within(s(x, y) - [x / y, 1], error, "s = d / max d")
    trial.within(s(x, 2 * x)[0] - 0.5, error, "s_1 follows another weight's d")
    change = s(x, y)[0] / s(x, y + 0.1)[0] - (y + 0.1) / y
    trial.within(change, 4 * error * y / x, "s_1 changes when the largest moves")
    third = s(x, x / 2, y)[0] - s(x, x, y)[0]
    trial.within(third, error, "s_1 does not change with one that is not the largest")


@NO_WARP.holds(setting=_uncapped, seed=seeds, n=st.integers(2, 4), strength=powers(-2, 2))
def curved(subject: Subject, trial: Trial, setting: Setting, seed: int, n: int, strength: float) -> None:
    """Sectional curvatures by finite differences: λ/4z² in planes with the largest weight, and 0 of PSGD."""
    rng = np.random.default_rng(seed)
    low, gap = setting.points[0], np.diff(setting.points)[0]
    d = np.append(rng.uniform(0.05, 0.25, n - 1), 0.3)

    def lengths(d: Array) -> Array:
        """h_i = s_i^(−1/2) at distances d in gaps, λ in units of 1/gap."""
        s = subject.scale(low + gap * d, setting.targets, 0.0, "max-normalised", False)
        return np.asarray(1 / np.sqrt(strength * s))

    def own(d: Array) -> Array:
        s = subject.scale(low + gap * d, setting.targets, 0.0, strength / gap, False)
        return np.asarray(1 / np.sqrt(s))

    # Second differences with h = d/100: an error of order h²/d² from the series, UNIT·d²/h² from rounding.
    error = 5e-3 + 1e7 * rounding.UNIT * (1 + np.abs(low) / (gap * 0.05))
    i = int(rng.integers(0, n - 1))
    expected = strength / (4 * 0.3**2)
    found = _sectional_curvature(lengths, d, i, n - 1)
    trial.within(found / expected - 1, error, "the ruler has curvature λ/4z²")
    flat = _sectional_curvature(own, d, i, n - 1)
    trial.within(flat / expected, error, "the ruler of PSGD itself has curvature 0")


def _sectional_curvature(lengths: Callable[[Array], Array], d: Array, i: int, j: int) -> float:
    """Curvature in the plane (i, j) of the orthogonal ruler Σ h_k² dw_k², by central differences.

    K = −[∂_i(∂_i h_j / h_i) + ∂_j(∂_j h_i / h_j) + Σ_k ∂_k h_i ∂_k h_j / h_k²] / (h_i h_j),   k ≠ i, j
    """
    moves, here = np.diag(d) / 100, lengths(d)

    def turned(a: int, b: int) -> float:
        """∂_a(∂_a h_b / h_a): the inner difference over one step on either side, the outer between them."""
        before, after = (lengths(d + side * moves[a]) for side in (-1, 1))
        middle = [lengths(d + side * moves[a] / 2)[a] for side in (-1, 1)]
        rise = (after[b] - here[b]) / middle[1] - (here[b] - before[b]) / middle[0]
        return float(rise / moves[a, a] ** 2)

    rest = 0.0
    for k in set(range(len(d))) - {i, j}:
        change = (lengths(d + moves[k]) - lengths(d - moves[k])) / (2 * moves[k, k])
        rest += float(change[i] * change[j] / here[k] ** 2)
    return float(-(turned(i, j) + turned(j, i) + rest) / (here[i] * here[j]))


CAP = claim(
    "A5",
    "The cap",
    "beyond the outermost target of a finite set s grows without bound, and D1's descent can fail there; "
    "held at λ(Δ/2+ε) from Δ/2 beyond it on, Δ the outermost gap, s ≤ S everywhere, s is the scale of a warp "
    "as it is without the cap, f is linear from there on, and D1's descent holds everywhere",
    tests=("scale", "warp", "psgd_step"),
)
_ended = st.one_of(uniform_grids(False), uneven_targets(2))


@CAP.holds(setting=setups(_ended, cap=True), x=powers(-2, 3), share=shares, up=st.booleans())
def outside(subject: Subject, trial: Trial, setting: Setting, x: float, share: float, up: bool) -> None:
    """Growth without the cap, the bound with it, and linearity outside."""
    points, side = setting.points, 1.0 if up else -1.0
    edge, gap = (points[-1], points[-1] - points[-2]) if up else (points[0], points[1] - points[0])
    w = edge + side * gap * np.array([share / 2, 0.5, 0.5 + x, 0.5 + 2 * x])
    args = (setting.targets, setting.eps, setting.strength)
    top = setting.strength * (gap / 2 + setting.eps)
    error = 32 * rounding.UNIT * (setting.strength * np.abs(w) + top)
    growth = setting.strength * (np.abs(w - edge) + setting.eps)
    trial.within(subject.scale(w, *args, False) - growth, error, "without the cap s grows without bound")
    capped = subject.scale(w, *args, True)
    trial.within(capped - np.minimum(growth, top), error, "with the cap s = λ(Δ/2 + ε) from Δ/2 outside on")
    y = subject.warp(*args, True)(w[1:])
    size = 64 * rounding.UNIT * (np.abs(y).max() + rounding.in_image(setting.warp, w).max())
    trial.within(y[0] + y[2] - 2 * y[1], size + 8 * error[-1] / top**1.5 * gap * x, "f is linear outside")


_problems = setups(_ended, cap=True).flatmap(lambda s: st.tuples(st.just(s), quadratics(s.unit)))


def _rise(
    subject: Subject, loss: Quadratic, setting: Setting, share: float, cap: bool
) -> tuple[float, float]:
    """L(w⁺) − L(w) and L(w), far outside the range, at the largest step that D1 allows inside."""
    f = subject.formulas
    s = f.largest_scale(setting.widest, setting.eps, setting.strength)
    w = loss.parts[1] + (20 + 80 * share) * np.ptp(setting.points)
    lr = f.largest_step(loss.smoothness, s)
    warp = Setting(setting.targets, setting.eps, setting.strength, cap).warp
    return loss.value(subject.psgd_step(w, loss.gradient(w), lr, warp)) - loss.value(w), loss.value(w)


@CAP.holds(cost=2, problem=_problems, share=st.floats(0, 1))
def descent(subject: Subject, trial: Trial, problem: tuple[Setting, Quadratic], share: float) -> None:
    """With the cap the loss falls from far outside."""
    change, size = _rise(subject, problem[1], problem[0], share, cap=True)
    trial.at_most(change, 0.0, 1e-12 * size, "with the cap the loss falls from far outside")


@CAP.refutes(problem=_problems, share=st.floats(0, 1))
def descent_without_cap(
    subject: Subject, trial: Trial, problem: tuple[Setting, Quadratic], share: float
) -> None:
    """Without the cap, too, the loss falls from far outside."""
    change, size = _rise(subject, problem[1], problem[0], share, cap=False)
    trial.at_most(change, 0.0, 1e-12 * size, "without the cap the loss falls from far outside")
