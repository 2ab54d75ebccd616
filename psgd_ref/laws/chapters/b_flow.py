"""Chapter B: one flow, three discretisations."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import FiniteTargets, UniformGrid, Warp
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.strategies import (
    MixingWarp,
    Placed,
    Push,
    Setting,
    mixing_warps,
    placed,
    powers,
    pushes,
    seeds,
    setups,
    target_sets,
    uneven_targets,
    uniform_grids,
)
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Step, Subject
from psgd_ref.laws.trial import Trial

FIRST_ORDER = claim(
    "B1",
    "Equivalence to first order",
    "for every diffeomorphism F whose inverse has a Lipschitz Jacobian, elementwise or not, gradient descent "
    "in y = F(w), mapped back, is w − η(JᵀJ)⁻¹g + O(η²): in log-log the gap falls with slope at least 2, and "
    "exactly 2 where D²F⁻¹[v, v] ≠ 0, v = J⁻ᵀg; for PSGD's warp off targets and walls, within the "
    "reach of a cap, that is g ≠ 0",
    source="paper, Theorem 1, Eq. (1)",
    tests=("psgd_step", "warped_step", "formulas.general_scale"),
)


@FIRST_ORDER.holds(seed=seeds, setting=setups(target_sets(several=True), cap=False))
def elementwise(subject: Subject, trial: Trial, seed: int, setting: Setting) -> None:
    """For the warp of PSGD the gap is η² ½(f⁻¹)″v² = ση²λsg²/4 at two rates, so its slope is 2."""
    rng = np.random.default_rng(seed)
    warp, points = setting.warp, setting.points
    k = rng.integers(0, len(points) - 1, 4)
    gaps = points[k + 1] - points[k]
    share = rng.uniform(0.1, 0.4, 4)
    w, d = points[k] + share * gaps, share * gaps
    t = rng.uniform(0.5, 1.0, 4) * rng.choice([-1.0, 1.0], 4)
    # t at η = 1 moves d + ε by d at most, so the step stays in the half cell at these rates.
    g = t / setting.strength * d / (d + setting.eps)
    for lr in (0.1, 0.05):
        gap = subject.warped_step(w, g, lr, warp) - subject.psgd_step(w, g, lr, warp)
        expected = lr**2 * t**2 * d**2 / (d + setting.eps) / 4
        noise = 4 * (rounding.in_weights(warp, w) + rounding.in_step(warp, w, g, lr))
        trial.within(gap - expected, noise, "the gap of PSGD's warp is η²·½(f⁻¹)″v²")


@FIRST_ORDER.holds(warp=mixing_warps, seed=seeds, size=st.sampled_from([0.0, 1e-3, 1.0]))
def mixing(subject: Subject, trial: Trial, warp: MixingWarp, seed: int, size: float) -> None:
    """For warps that mix coordinates gap/η² tends to ½D²F⁻¹[v, v], also where that vanishes (w = 0)."""
    rng = np.random.default_rng(seed)
    w, g = size * rng.standard_normal(warp.n), rng.standard_normal(warp.n)
    j, y = warp.jacobian(w), warp(w)
    move = np.linalg.solve(j.T, g)
    move, g = move / np.abs(move).max(), g / np.abs(move).max()
    second, third = warp.inverse_derivatives(w, move)
    for lr in (2e-2, 1e-2, 5e-3):
        psgd = w - lr * subject.formulas.general_scale(j) @ g
        gap = warp.inverse(y - lr * move) - psgd
        noise = 1e-13 * (1 + np.abs(w).max())
        statement = "F⁻¹(y − ηv) − (w − η(JᵀJ)⁻¹g) is η²·½D²F⁻¹[v, v] + O(η³)"
        trial.at_most(np.linalg.norm(gap - lr**2 * second), lr**3 * third, noise, statement)


REMAINDER = claim(
    "B2",
    "Exact remainder",
    "|w⁺_warp − w⁺_PSGD| ≤ η² λ s g²/4 for every w and η, with equality and sign σ (away from the target) "
    "when w and w⁺ lie on one side of one target, in its cell and within the reach of a cap (a weight on its "
    "target counts as on the side to which it moves); both steps are equal beyond the reach of a cap",
    tests=("psgd_step", "warped_step", "formulas.warp_remainder"),
)


def _gap(subject: Subject, push: Push) -> tuple[Array, Array, Array]:
    """w⁺_warp − w⁺_PSGD, the formula for it, and the rounding to allow."""
    setting, w, g, lr = push.setting, push.w, push.g, push.lr
    warp = setting.warp
    gap = subject.warped_step(w, g, lr, warp) - subject.psgd_step(w, g, lr, warp)
    error = 2 * rounding.in_weights(warp, w) + 2 * rounding.in_step(warp, w, g, lr) + _landing(warp, w, g, lr)
    return gap, subject.formulas.warp_remainder(w, g, lr, warp), error


@REMAINDER.holds(push=pushes(setups()))
def remainder(subject: Subject, trial: Trial, push: Push) -> None:
    """The bound for any step."""
    gap, most, error = _gap(subject, push)
    bound = (push.lr * push.g) ** 2 * push.setting.warp.scale(push.w) * push.setting.strength / 4
    # Next to zero numbers have no digits left for a share of them.
    error_of_bound = 1e-12 * bound + np.finfo(float).tiny
    trial.within(most - bound, error_of_bound, "the bound is η²λsg²/4")
    trial.at_most(np.abs(gap), most, error, "|w⁺_warp − w⁺_PSGD| ≤ η²λsg²/4")


@REMAINDER.holds(push=pushes(setups(), largest=1.9))
def equality(subject: Subject, trial: Trial, push: Push) -> None:
    """The equality and its sign, from targets and walls on, with the cap and without."""
    setting, w, g = push.setting, push.w, push.g
    eps, target = setting.eps, setting.targets.nearest(w)
    d = np.abs(w - target)
    side = np.where(d > 0, np.sign(w - target), -np.sign(g))
    t = push.lr * setting.strength * g * side
    root = np.sqrt(d + eps) * (1 - t / 2)
    position = setting.targets.position(w)
    half = np.minimum(setting.targets.gap(position, side) / 2, setting.warp.reach(position, side))
    stays = (d <= half) & (root >= np.sqrt(eps)) & (root**2 - eps <= half)
    gap, most, error = _gap(subject, push)
    trial.within(np.where(stays, gap - side * most, 0), error, "w⁺_warp − w⁺_PSGD = σ η²λsg²/4")
    beyond = np.isfinite(half) & (d - half > push.lr * setting.warp.scale(w) * np.abs(g)) & (d > half)
    trial.within(np.where(beyond, gap, 0), error, "both steps are equal beyond the reach of a cap")


@REMAINDER.holds(cost=4, push=pushes(setups(uniform_grids(lattice=False)), largest=1.9))
def at_the_ends(subject: Subject, trial: Trial, push: Push) -> None:
    """The same at both ends of a finite grid, and beyond them: one level too many on a side shows here."""
    equality(subject, trial, push)


def _landing(warp: Warp, w: Array, g: Array, lr: float) -> Array:
    """Rounding where a step lands, which may be farther out than where it began."""
    there = w - lr * warp.scale(w) * g
    bent = lr**2 * warp.scale(w) * g**2 * warp.strength / 4
    out = rounding.in_weights(warp, there) + rounding.in_weights(warp, there + bent)
    return np.asarray(out + 2 * rounding.in_step(warp, w, g, lr))


SECOND_ORDER = claim(
    "B3",
    "Second order",
    "where s > 0 is smooth between w and w⁺, w⁺ = w − ηsg + c η² s s′ g² + O(η³) with c = 0 (PSGD), 1/4 "
    "(warped), 1/2 (mirror); at ε = 0, w off its target and each end in its half cell, t = ηλgσ: "
    "d⁺/d = 1−t, (1−t/2)|1−t/2|, e^(−t), a negative ratio on the other side of the target",
    tests=("psgd_step", "warped_step", "mirror_step", "formulas.second_order_term", "formulas.decay_ratio"),
)


def _steps(subject: Subject) -> dict[str, Step]:
    return {"psgd": subject.psgd_step, "warp": subject.warped_step, "mirror": subject.mirror_step}


@SECOND_ORDER.holds(at=placed(setups()), t=st.floats(1e-3, 1e-2), up=st.booleans())
def coefficient(subject: Subject, trial: Trial, at: Placed, t: float, up: bool) -> None:
    """What the second-order term leaves is O(η³), wherever no target, wall or edge of a cap is in the way."""
    setting, w = at.setting, at.w
    warp, target = setting.warp, setting.targets.nearest(at.w)
    d, side = np.abs(w - target), np.sign(w - target)
    position = setting.targets.position(w)
    reach = warp.reach(position, side)
    half = np.minimum(setting.targets.gap(position, side) / 2, reach)
    move = 2 * t * (np.minimum(d, reach) + setting.eps)
    smooth = (side != 0) & (d > move) & ((d + move < half) | (d - move > reach))
    g = np.full(w.shape, (t if up else -t) / setting.strength)
    for name, step in _steps(subject).items():
        left = step(w, g, 1.0, warp) - (w - warp.scale(w) * g)
        left = left - subject.formulas.second_order_term(w, g, 1.0, warp, name)
        noise = rounding.in_step(warp, w, g, 1.0) + 4 * rounding.in_weights(warp, w)
        allowed = t**3 * (d + setting.eps) + noise + 64 * rounding.UNIT * (d + setting.eps)
        trial.within(np.where(smooth, left, 0), allowed, f"{name}: what is left is O(η³)")


@SECOND_ORDER.holds(push=pushes(setups(eps="zero", cap=False)))
def closed_forms(subject: Subject, trial: Trial, push: Push) -> None:
    """The closed forms for large steps, on both sides of the target and outside the range."""
    setting, w, g, lr = push.setting, push.w, push.g, push.lr
    warp, target, t = setting.warp, setting.targets.nearest(push.w), push.t
    d, side = np.abs(w - target), np.sign(w - target)
    for name, step in _steps(subject).items():
        ratio = subject.formulas.decay_ratio(t, name)
        half = setting.targets.gap(setting.targets.position(w), side * np.sign(ratio)) / 2
        inside = (side != 0) & (np.abs(ratio) * d < half * (1 - 1e-9))
        gap = (step(w, g, lr, warp) - target) * side - ratio * d
        error = 4 * rounding.in_weights(warp, w) + _landing(warp, w, g, lr)
        error = error + 64 * rounding.UNIT * np.exp(np.abs(t)) * np.abs(w)
        trial.within(np.where(inside, gap, 0), error, f"{name}: closed form of d⁺/d")


@SECOND_ORDER.holds(a=powers(-1, 1), x=st.floats(0.2, 2), t=st.floats(1e-3, 4e-3))
def another_scale(subject: Subject, trial: Trial, a: float, x: float, t: float) -> None:
    """The coefficients for a scale of another shape: s = a + w², f = arcsinh(w/√a), Φ′ = arctan(w/√a)/√a."""
    root = np.sqrt(a)
    w, s, slope = x * root, a * (1 + x**2), 2 * x * root
    g = t / slope
    images: dict[str, tuple[Callable[[float], float], Callable[[float], float], float]] = {
        "warp": (lambda v: np.arcsinh(v / root), lambda y: root * np.sinh(y), np.sqrt(s)),
        "mirror": (lambda v: np.arctan(v / root) / root, lambda y: root * np.tan(root * y), 1.0),
    }
    for name, (forth, back, factor) in images.items():
        c = (back(forth(w) - factor * g) - (w - s * g)) / (s * slope * g**2)
        expected = subject.formulas.second_order_coefficient(name)
        trial.within(c - expected, 3 * t * (1 + 1 / x**2), f"{name}: the coefficient for s = a + w²")
    trial.within(subject.formulas.second_order_coefficient("psgd"), 0.0, "psgd: the coefficient is 0")


INVARIANCES = claim(
    "B4",
    "Invariances",
    "g = 0 leaves w unchanged, and so does λ = 0 in PSGD (the other two suppose λ > 0); permuting "
    "coordinates permutes the step; shifting w and T alike shifts w⁺; with the strength of C3, "
    "(w, T, ε) → a(w, T, ε), a > 0, leaves s as it is",
    tests=("psgd_step", "warped_step", "mirror_step", "scale"),
)


@INVARIANCES.holds(push=pushes(setups(), largest=2.0))
def rest_and_order(subject: Subject, trial: Trial, push: Push) -> None:
    """Rest without a gradient or a strength, and permutation."""
    setting, w, g, lr = push.setting, push.w, push.g, push.lr
    warp = setting.warp
    s = subject.scale(w, setting.targets, setting.eps, 0.0, setting.cap)
    trial.within(s, 0.0, "λ = 0 makes s = 0")
    turn = np.argsort(g)
    for name, step in _steps(subject).items():
        rest = step(w, np.zeros_like(w), lr, warp) - w
        # The mirror step at ε > 0 goes through logarithms of d/ε, whose rounding grows with d + ε.
        error = 4 * rounding.in_weights(warp, w) + 64 * rounding.UNIT * _mirror_size(warp, w)
        trial.within(rest, rounding.FLUSHED if name == "psgd" else error, f"{name}: g = 0 leaves w unchanged")
        there = step(w, g, lr, warp)
        moved = there[turn] - step(w[turn], g[turn], lr, warp)
        # A vector's lanes and its tail may round an exponential or a fused product differently.
        error = error + 4 * rounding.in_step(warp, w, g, lr) + 4 * rounding.UNIT * np.abs(there)
        trial.within(moved, error[turn], f"{name}: permuting coordinates permutes the step")


@INVARIANCES.holds(push=pushes(setups(uneven_targets(2)), largest=1.0), shift=st.integers(-8, 8))
def translation(subject: Subject, trial: Trial, push: Push, shift: int) -> None:
    """Shifts that round; a mirror step at ε = 0 multiplies what is rounded, so it is left to `dyadic`."""
    setting, w, g, lr = push.setting, push.w, push.g, push.lr
    by = shift * setting.unit
    there = FiniteTargets(setting.points + by)
    shifted = Warp(there, setting.eps, setting.strength, setting.cap)
    moved = np.abs(w) + np.abs(by) + np.abs(setting.points).max()
    for name, step in _steps(subject).items():
        if name == "mirror" and setting.eps == 0:
            continue  # a weight within rounding of a target may change sides, and then its interval
        gap = step(w + by, g, lr, shifted) - by - step(w, g, lr, setting.warp)
        error = 64 * rounding.UNIT * (moved + _mirror_size(setting.warp, w) * (name == "mirror"))
        # Moved weights and targets carry an error e of w's size, which is 2√(e·d) through f at ε = 0.
        root = np.sqrt(error * (np.abs(w - setting.targets.nearest(w)) + setting.unit))
        trial.within(gap, 4 * error + (root if name == "warp" else 0), f"{name}: shifting shifts w⁺")


_gaps = st.lists(st.integers(1, 8), min_size=1, max_size=4)
_sixteenths = st.lists(st.integers(-64, 640), min_size=1, max_size=5)


@INVARIANCES.holds(
    gaps=_gaps, places=_sixteenths, shift=st.integers(-64, 64), t=st.floats(-1, 1), cap=st.booleans()
)
def dyadic(
    subject: Subject, trial: Trial, gaps: list[int], places: list[int], shift: int, t: float, cap: bool
) -> None:
    """Shifts that are exact: whole targets, weights in sixteenths, ε = 0, all three steps."""
    points, w = np.cumsum([0, *gaps]) * 1.0, np.array(places) / 16
    for name, step in _steps(subject).items():
        here, there = (Warp(FiniteTargets(points + by), 0.0, 1.0, cap) for by in (0, shift))
        g = np.full_like(w, t)
        gap = step(w + shift, g, 1.0, there) - shift - step(w, g, 1.0, here)
        # Through f an error e of y is √s·e, and targets up to 100 add it up.
        trial.within(gap, 1e-11 * (1 + np.abs(w)), f"{name}: shifting shifts w⁺, exactly")


@INVARIANCES.holds(at=placed(setups(target_sets(several=True))), k=st.integers(-30, 30))
def units(subject: Subject, trial: Trial, at: Placed, k: int) -> None:
    """Freedom from units under the volume strength."""
    setting, w, a = at.setting, at.w, 2.0**k
    t = setting.targets
    scaled = (
        UniformGrid(t.step * a, t.levels) if isinstance(t, UniformGrid) else FiniteTargets(a * setting.points)
    )
    s = subject.scale(w, t, setting.eps, "volume", setting.cap)
    there = subject.scale(a * w, scaled, a * setting.eps, "volume", setting.cap)
    trial.within(there - s, 1e-12 * s + 1e-290, "s is free of units under the volume strength")


def _mirror_size(warp: Warp, w: Array) -> Array:
    """(d + ε) times the size of the numbers that Φ′ adds up: the rounding of a trip through Φ′ in weights."""
    unit = warp.targets.mean_gap()
    unit = unit if np.isfinite(unit) else 1.0
    d = np.abs(w - warp.targets.nearest(w)) + warp.eps
    logs = np.abs(np.log(np.maximum(d / unit, 1e-300))) + abs(np.log(max(warp.eps, 1e-300) / unit))
    size = d * (1 + logs) * (2 + np.abs(w) / unit)
    if isinstance(warp.targets, FiniteTargets):
        values = warp.targets.values
        size = size * (1 + np.ptp(values) / np.diff(values).min(initial=np.ptp(values) or 1.0))
    return np.asarray(size + np.abs(w))
