"""Chapter B: one flow, three discretisations."""

from collections.abc import Callable

import numpy as np
from hypothesis import assume
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
)
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial


@claim(
    "B1",
    "Equivalence to first order",
    "gradient descent in y = F(w), mapped back, is PSGD + O(η²) for any smooth invertible F, elementwise or "
    "not: the gap falls with slope 2 in log-log",
    source="paper, Theorem 1, Eq. (1)",
    tests=("psgd_step", "warped_step", "formulas.general_scale"),
)
def first_order_equivalence(subject: Subject, trial: Trial) -> None:
    """Halving η divides the gap by 4, for the warp of PSGD and for warps that mix coordinates."""

    @trial.holds(seed=seeds, setting=setups(target_sets(several=True), eps="positive", cap=False))
    def elementwise(seed: int, setting: Setting) -> None:
        rng = np.random.default_rng(seed)
        warp, points = setting.warp, setting.points
        k = rng.integers(0, len(points) - 1, 4)
        gaps = points[k + 1] - points[k]
        share = rng.uniform(0.1, 0.4, 4)
        w, d = points[k] + share * gaps, share * gaps
        t = rng.uniform(0.5, 1.0, 4) * rng.choice([-1.0, 1.0], 4)

        def gap(lr: float) -> Array:
            # t at η = 1 moves d + ε by its own size, so the step stays in the half cell at these rates.
            g = t / setting.strength * d / (d + setting.eps)
            return subject.warped_step(w, g, lr, warp) - subject.psgd_step(w, g, lr, warp)

        coarse, fine = gap(0.1), gap(0.05)
        noise = 4 * (rounding.in_weights(warp, w) + rounding.in_step(warp, w, t / setting.strength, 0.1))
        assume((noise < 1e-4 * np.abs(d * d / (d + setting.eps)) * 0.05**2 * t**2).all())
        slope = np.log2(np.abs(coarse) / np.maximum(np.abs(fine), 1e-300))
        trial.within(slope - 2, 0.01, "slope of the gap against η is 2, elementwise")

    @trial.holds(warp=mixing_warps, seed=seeds)
    def mixing(warp: MixingWarp, seed: int) -> None:
        rng = np.random.default_rng(seed)
        w, g = rng.standard_normal(warp.n), rng.standard_normal(warp.n)
        j, y = warp.jacobian(w), warp(w)
        move = np.linalg.solve(j.T, g)
        move, g = move / np.abs(move).max(), g / np.abs(move).max()

        def gap(lr: float) -> float:
            psgd = w - lr * subject.formulas.general_scale(j) @ g
            return float(np.linalg.norm(warp.inverse(y - lr * move) - psgd))

        a, b = warp.factors
        # ½ D²F⁻¹[v, v]: where it nearly vanishes the gap is of third order, and only the bound is left.
        bend = np.linalg.norm(np.linalg.solve(a, np.sinh(a @ w) * np.linalg.solve(b, move) ** 2)) / 2
        assume(bend > 0.05)
        rate = 2e-3
        trial.within(np.log2(gap(rate) / gap(rate / 2)) - 2, 0.1, "slope of the gap against η is 2, mixing")


@claim(
    "B2",
    "Exact remainder",
    "|w⁺_warp − w⁺_PSGD| ≤ η² λ s g²/4 for every η, with equality and sign σ (away from the target) when the "
    "step stays on one side of the target and inside the cell",
    tests=("psgd_step", "warped_step", "formulas.warp_remainder"),
)
def exact_remainder(subject: Subject, trial: Trial) -> None:
    """The bound for any step; the equality and its sign where it is claimed."""

    @trial.holds(push=pushes(setups()))
    def remainder(push: Push) -> None:
        setting, w, g, lr = push.setting, push.w, push.g, push.lr
        warp = setting.warp
        gap = subject.warped_step(w, g, lr, warp) - subject.psgd_step(w, g, lr, warp)
        most = subject.formulas.warp_remainder(w, g, lr, warp)
        error = (
            2 * rounding.in_weights(warp, w) + 2 * rounding.in_step(warp, w, g, lr) + _landing(warp, w, g, lr)
        )
        trial.at_most(np.abs(gap), most, error, "|w⁺_warp − w⁺_PSGD| ≤ η²λsg²/4")

    @trial.holds(push=pushes(setups(cap=False), largest=1.9, beyond=0.0))
    def equality(push: Push) -> None:
        setting, w, g, lr = push.setting, push.w, push.g, push.lr
        warp, eps, target = setting.warp, setting.eps, setting.targets.nearest(push.w)
        d, side = np.abs(w - target), np.sign(w - target)
        root = np.sqrt(d + eps) * (1 - push.t / 2)
        half = setting.targets.gap(setting.targets.position(w), side) / 2
        inside = (side != 0) & (root > np.sqrt(eps) * (1 + 1e-9)) & (root**2 - eps < half * (1 - 1e-9))
        assume(inside.any())
        gap = subject.warped_step(w, g, lr, warp) - subject.psgd_step(w, g, lr, warp)
        most = subject.formulas.warp_remainder(w, g, lr, warp)
        error = (
            2 * rounding.in_weights(warp, w) + 2 * rounding.in_step(warp, w, g, lr) + _landing(warp, w, g, lr)
        )
        trial.within(np.where(inside, gap - side * most, 0), error, "w⁺_warp − w⁺_PSGD = σ η²λsg²/4")


def _landing(warp: Warp, w: Array, g: Array, lr: float) -> Array:
    """Rounding where a step lands, which may be farther out than where it began."""
    there = w - lr * warp.scale(w) * g
    bent = lr**2 * warp.scale(w) * g**2 * warp.strength / 4
    out = rounding.in_weights(warp, there) + rounding.in_weights(warp, there + bent)
    return np.asarray(out + 2 * rounding.in_step(warp, w, g, lr))


@claim(
    "B3",
    "Second order",
    "w⁺ = w − ηsg + c η² s s′ g² + O(η³) for any smooth s, with c = 0 (PSGD), 1/4 (warped), 1/2 (mirror); "
    "inside a half cell at ε = 0, t = ηλgσ: d⁺/d = 1−t, (1−t/2)|1−t/2|, e^(−t)",
    tests=("psgd_step", "warped_step", "mirror_step", "formulas.second_order_term", "formulas.decay_ratio"),
)
def second_order(subject: Subject, trial: Trial) -> None:
    """Coefficients from small steps, closed forms from large ones, and a scale of another shape."""
    steps = {"psgd": subject.psgd_step, "warp": subject.warped_step, "mirror": subject.mirror_step}
    interior = placed(setups(target_sets(), cap=False), beyond=0.0)

    @trial.holds(at=interior, t=st.floats(1e-3, 1e-2), up=st.booleans())
    def coefficient(at: Placed, t: float, up: bool) -> None:
        setting, w = at.setting, at.w
        warp, target = setting.warp, setting.targets.nearest(at.w)
        d, side = np.abs(w - target), np.sign(w - target)
        half = setting.targets.gap(setting.targets.position(w), side) / 2
        inside = (side != 0) & (d > 2 * t * (d + setting.eps)) & (d + 2 * t * (d + setting.eps) < half)
        assume(inside.any())
        g = np.full(w.shape, (t if up else -t) / setting.strength)
        for name, step in steps.items():
            left = step(w, g, 1.0, warp) - (w - warp.scale(w) * g)
            left = left - subject.formulas.second_order_term(w, g, 1.0, warp, name)
            noise = rounding.in_step(warp, w, g, 1.0) + 4 * rounding.in_weights(warp, w)
            allowed = t**3 * (d + setting.eps) + noise + 64 * rounding.UNIT * (d + setting.eps)
            trial.within(np.where(inside, left, 0), allowed, f"{name}: what is left is O(η³)")

    @trial.holds(push=pushes(setups(eps="zero", cap=False), beyond=0.0))
    def closed_forms(push: Push) -> None:
        setting, w, g, lr = push.setting, push.w, push.g, push.lr
        warp, target, t = setting.warp, setting.targets.nearest(push.w), push.t
        d, side = np.abs(w - target), np.sign(w - target)
        for name, step in steps.items():
            ratio = subject.formulas.decay_ratio(t, name)
            half = setting.targets.gap(setting.targets.position(w), side * np.sign(ratio)) / 2
            inside = (side != 0) & (np.abs(ratio) * d < half * (1 - 1e-9))
            gap = (step(w, g, lr, warp) - target) * side - ratio * d
            error = 4 * rounding.in_weights(warp, w) + _landing(warp, w, g, lr)
            error = error + 64 * rounding.UNIT * np.exp(np.abs(t)) * np.abs(w)
            trial.within(np.where(inside, gap, 0), error, f"{name}: closed form of d⁺/d")

    @trial.holds(a=powers(-1, 1), x=st.floats(0.2, 2), t=st.floats(1e-3, 4e-3))
    def another_scale(a: float, x: float, t: float) -> None:
        # s = a + w² has closed forms: f = arcsinh(w/√a), Φ′ = arctan(w/√a)/√a.
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


@claim(
    "B4",
    "Invariances",
    "λ = 0 or g = 0 leaves w unchanged; permuting coordinates permutes the step; shifting w and T shifts w⁺; "
    "with the strength of C3, (w, T, ε) → a(w, T, ε) leaves s as it is",
    tests=("psgd_step", "warped_step", "mirror_step", "scale"),
)
def invariances(subject: Subject, trial: Trial) -> None:
    """Rest, permutation, translation, and freedom from units."""
    steps = {"psgd": subject.psgd_step, "warp": subject.warped_step, "mirror": subject.mirror_step}

    @trial.holds(
        push=pushes(setups(), largest=2.0),
    )
    def rest_and_order(push: Push) -> None:
        setting, w, g, lr = push.setting, push.w, push.g, push.lr
        warp = setting.warp
        s = subject.scale(w, setting.targets, setting.eps, 0.0, setting.cap)
        trial.within(s, 0.0, "λ = 0 makes s = 0")
        turn = np.argsort(g)
        for name, step in steps.items():
            rest = step(w, np.zeros_like(w), lr, warp) - w
            # The mirror step at ε > 0 goes through logarithms of d/ε, whose rounding grows with d + ε.
            error = 4 * rounding.in_weights(warp, w) + 64 * rounding.UNIT * _mirror_size(warp, w)
            trial.within(
                rest, rounding.FLUSHED if name == "psgd" else error, f"{name}: g = 0 leaves w unchanged"
            )
            moved = step(w, g, lr, warp)[turn] - step(w[turn], g[turn], lr, warp)
            trial.within(moved, 0.0, f"{name}: permuting coordinates permutes the step")

    @trial.holds(push=pushes(setups(uneven_targets(2)), largest=1.0, beyond=0.5), shift=st.integers(-8, 8))
    def translation(push: Push, shift: int) -> None:
        setting, w, g, lr = push.setting, push.w, push.g, push.lr
        by = shift * setting.unit
        there = FiniteTargets(setting.points + by)
        shifted = Warp(there, setting.eps, setting.strength, setting.cap)
        moved = np.abs(w) + np.abs(by) + np.abs(setting.points).max()
        for name, step in steps.items():
            if name == "mirror" and setting.eps == 0:
                continue  # a weight within rounding of a target may change sides, and then its interval
            gap = step(w + by, g, lr, shifted) - by - step(w, g, lr, setting.warp)
            error = 64 * rounding.UNIT * (moved + _mirror_size(setting.warp, w) * (name == "mirror"))
            # Moved weights and targets carry an error e of w's size, which is 2√(e·d) through f at ε = 0.
            root = np.sqrt(error * (np.abs(w - setting.targets.nearest(w)) + setting.unit))
            trial.within(gap, 4 * error + (root if name == "warp" else 0), f"{name}: shifting shifts w⁺")

    @trial.holds(at=placed(setups(target_sets(several=True))), k=st.integers(-30, 30))
    def units(at: Placed, k: int) -> None:
        setting, w, a = at.setting, at.w, 2.0**k
        t = setting.targets
        scaled = (
            UniformGrid(t.step * a, t.levels)
            if isinstance(t, UniformGrid)
            else FiniteTargets(a * setting.points)
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
