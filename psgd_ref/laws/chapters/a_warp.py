"""Chapter A: the warp."""

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.losses import Quadratic, quadratics
from psgd_ref.laws.drawing.strategies import (
    MixingWarp,
    Placed,
    Setting,
    mixing_warps,
    placed,
    powers,
    setups,
    shares,
    target_sets,
    uneven_targets,
    uniform_grids,
)
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial


@claim(
    "A1",
    "f is a bijection",
    "f is an increasing bijection of R with f⁻¹∘f = id, C¹ for ε > 0, odd about every target within its "
    "cell; f(w+Δ) = f(w) + ℓ on a lattice; f⁻¹ is C¹ even for ε = 0, |(f⁻¹)″| ≤ λ/2",
    source="paper, Eq. (5)",
    tests=("warp",),
)
def bijection(subject: Subject, trial: Trial) -> None:
    """Inverse both ways, order, C¹ by the mean value theorem, symmetry, translation, curvature of f⁻¹."""

    @trial.holds(drawn=placed(setups()))
    def inverse(drawn: Placed) -> None:
        setting, w = drawn.setting, drawn.w
        warp, core = subject.warp(setting.targets, setting.eps, setting.strength, setting.cap), setting.warp
        back = warp.inverse(warp(w))
        trial.within(back - w, rounding.in_weights(core, w), "f⁻¹(f(w)) = w")
        again = warp(warp.inverse(warp(w)))
        # Near a target at ε = 0 f is steep: an error e in w is up to 2√(e/λ) in y.
        steep = 2 * np.sqrt(rounding.in_weights(core, w) / setting.strength)
        allowed = 32 * rounding.UNIT * rounding.in_image(core, w) + steep
        trial.within(again - warp(w), allowed, "f(f⁻¹(y)) = y")

        target = setting.targets.nearest(w)
        mirror = 2 * target - w
        same_cell = setting.targets.nearest(mirror) == target
        middle = np.where(same_cell, warp(w) + warp(mirror) - 2 * warp(target), 0.0)
        trial.within(middle, 4 * allowed, "f is odd about every target, within its cell")

    @trial.holds(drawn=placed(setups(eps="positive"), size=1), span=shares)
    def slope(drawn: Placed, span: float) -> None:
        setting, a = drawn.setting, drawn.w
        warp, core = subject.warp(setting.targets, setting.eps, setting.strength, setting.cap), setting.warp
        b = a + span * setting.unit
        rise, length = warp(b) - warp(a), b - a
        # By the mean value theorem some f′ in [a, b] is the mean slope; f′ is extreme at an end, a target or
        # a wall. This binds f to f′ across cells: a jump of either, or a wrong slope, breaks it.
        ends, kinks = np.concatenate([a, b]), _kinks(setting, a)
        slopes = warp.derivative(np.concatenate([ends, kinks[(kinks > a) & (kinks < b)]]))
        # s has the error of d, which has that of w: relative to d + ε.
        loose = 16 * rounding.UNIT * (1 + (np.abs(ends).max() + setting.unit) / setting.eps)
        error = (
            32 * rounding.UNIT * rounding.in_image(core, ends).max()
            + 4 * rounding.UNIT * np.abs(ends).max() * slopes.max()
        )
        trial.at_most(rise, slopes.max() * length * (1 + loose), error, "f rises by at most max f′ · (b − a)")
        trial.at_most(
            slopes.min() * length * (1 - loose), rise, error, "f rises by at least min f′ · (b − a) > 0"
        )

    @trial.holds(drawn=placed(setups(uniform_grids(lattice=True)), size=2))
    def symmetry(drawn: Placed) -> None:
        setting, w = drawn.setting, drawn.w
        warp, core = subject.warp(setting.targets, setting.eps, setting.strength), setting.warp
        step = setting.unit
        length = warp(np.array([step])) - warp(np.array([0.0]))
        u = 64 * rounding.UNIT
        # At ε = 0 the error of w itself, once more, makes 2√(e/λ) in y.
        error = u * (rounding.in_image(core, w) + length) + 4 * np.sqrt(
            u * (np.abs(w) + step) / setting.strength
        )
        trial.within(warp(w + step) - warp(w) - length, error, "f(w+Δ) = f(w) + ℓ")

    @trial.holds(drawn=placed(setups(), size=1), span=st.floats(-1, 1))
    def inverse_is_smooth(drawn: Placed, span: float) -> None:
        setting, w = drawn.setting, drawn.w
        warp, core = subject.warp(setting.targets, setting.eps, setting.strength, setting.cap), setting.warp
        y = warp(w)
        move = span * np.sqrt(setting.unit / setting.strength)
        w, there = warp.inverse(y), warp.inverse(y + move)
        slope = np.sqrt(core.scale(w))
        error = rounding.in_weights(core, w) + rounding.in_weights(core, there)
        # d in s carries the error of w, and the root of it near a target.
        loose = np.abs(move) * np.sqrt(setting.strength * 8 * rounding.UNIT * (np.abs(w) + setting.unit))
        statement = "|f⁻¹(y+h) − f⁻¹(y) − h(f⁻¹)′(y)| ≤ λh²/4"
        trial.at_most(
            np.abs(there - w - move * slope), setting.strength / 4 * move**2, error + loose, statement
        )


def _kinks(setting: Setting, near: Array) -> Array:
    """Targets and walls, of an endless lattice those around `near`, and where a cap begins."""
    points = setting.points
    if np.abs(near).max() > np.abs(points).max() + 8 * setting.unit:
        return np.asarray(setting.targets.nearest(near) + np.arange(-4, 5) * setting.unit / 2)
    walls = (points[:-1] + points[1:]) / 2
    caps = [2 * points[0] - walls[0], 2 * points[-1] - walls[-1]] if len(walls) else []
    return np.concatenate([points, walls, caps])


@claim(
    "A2",
    "s f′² = 1",
    "s = λ(d+ε) and f′ satisfy s·f′² = 1; for any invertible F the matrix (JᵀJ)⁻¹, J = ∂y/∂w, takes the "
    "place of s, and it is diagonal when F is elementwise",
    source="paper, Eq. (1)-(4), (6)",
    tests=("warp", "scale", "formulas.general_scale"),
)
def scale_is_inverse_square_slope(subject: Subject, trial: Trial) -> None:
    """The scale from the distance by brute force, from f′, and the general matrix from a step in Y."""

    @trial.holds(drawn=placed(setups(target_sets(), cap=False)))
    def elementwise(drawn: Placed) -> None:
        setting, w = drawn.setting, drawn.w
        warp = subject.warp(setting.targets, setting.eps, setting.strength)
        s = subject.scale(w, setting.targets, setting.eps, setting.strength, False)
        points = setting.points
        inside = np.abs(w) <= np.abs(points).max() + 4.5 * setting.unit
        d = np.abs(w[:, None] - points).min(axis=1)
        error = 8 * rounding.UNIT * setting.strength * (np.abs(w) + d + setting.eps) + rounding.TINY
        trial.within(np.where(inside, s - setting.strength * (d + setting.eps), 0), error, "s = λ(d + ε)")
        positive = s > rounding.TINY * 1e20
        f = warp.derivative(w)
        square = np.where(positive, s, 1.0) * np.where(positive, f, 1.0) ** 2
        trial.within(square - 1, 16 * rounding.UNIT, "s f′² = 1")
        trial.true(np.isinf(f[s == 0]), "f′ is infinite where s = 0")

    @trial.holds(warp=mixing_warps, seed=st.integers(0, 2**32 - 1))
    def general(warp: MixingWarp, seed: int) -> None:
        rng = np.random.default_rng(seed)
        w, g = rng.standard_normal(warp.n), rng.standard_normal(warp.n)
        j = warp.jacobian(w)
        matrix = subject.formulas.general_scale(j)
        # dw/dη of the step in Y mapped back, by a central difference: that is −(JᵀJ)⁻¹ g.
        h, move = 1e-5, np.linalg.solve(j.T, g)
        y = warp(w)
        rate = (warp.inverse(y - h * move) - warp.inverse(y + h * move)) / (2 * h)
        size = np.abs(matrix).sum() * (np.abs(g).sum() + 1)
        trial.within(rate + matrix @ g, 1e-6 * size * (1 + np.abs(move).max() ** 2), "−dw/dη = (JᵀJ)⁻¹ g")
        diagonal = np.abs(rng.standard_normal(warp.n)) + 0.1
        trial.within(
            subject.formulas.general_scale(np.diag(diagonal)) - np.diag(1 / diagonal**2),
            1e-12 / diagonal.min() ** 2,
            "(JᵀJ)⁻¹ = diag(1/f′²) for an elementwise F",
        )


@claim(
    "A3",
    "s is least at targets",
    "within the range s is least exactly at targets (λε) and largest exactly midway between them (λ(Δ/2+ε))",
    source="paper, Eq. (6)",
    tests=("scale",),
)
def extremes(subject: Subject, trial: Trial) -> None:
    """Values at targets and midway, and strict growth from the one to the other."""

    @trial.holds(
        setting=setups(target_sets(several=True)),
        x=st.floats(1e-6, 0.5),
        y=st.floats(1e-6, 0.5),
        left=st.booleans(),
    )
    def ordered(setting: Setting, x: float, y: float, left: bool) -> None:
        points, near, far = setting.points, min(x, y), max(x, y)
        gaps = np.diff(points)
        low = points[:-1] if left else points[1:]
        side = gaps if left else -gaps

        def s(share: float) -> Array:
            return subject.scale(
                low + share * side, setting.targets, setting.eps, setting.strength, setting.cap
            )

        eps, strength = setting.eps, setting.strength
        error = 16 * rounding.UNIT * strength * (np.abs(points).max() + gaps + eps)
        trial.within(s(0.0) - strength * eps, error, "s = λε at a target")
        trial.within(s(0.5) - strength * (gaps / 2 + eps), error, "s = λ(Δ/2 + ε) midway")
        growth = strength * (far - near) * gaps
        trial.true(s(0.0) < s(near) + error, "s is least at targets")
        trial.at_most(growth, s(far) - s(near), 2 * error, "s grows from target to midpoint at the rate λ")
        trial.true(s(far) <= s(0.5) + error, "s is largest midway")


@claim(
    "A4",
    "Max-normalised scaling has no warp",
    "with s_i = d_i / max_j d_j the scale of one weight changes when another moves, which the scale "
    "1/f′(w_i)² of an elementwise warp cannot do: Theorem 1 does not cover it",
    tests=("scale",),
)
def non_separable(subject: Subject, trial: Trial) -> None:
    """The rule itself, and the dependence of one weight's scale on another."""

    @trial.holds(
        setting=setups(target_sets(several=True), eps="zero", cap=False),
        x=st.floats(0.01, 0.2),
        y=st.floats(0.21, 0.3),
    )
    def depends_on_others(setting: Setting, x: float, y: float) -> None:
        low, gap = setting.points[0], np.diff(setting.points)[0]

        def s(share: float) -> Array:
            return subject.scale(
                low + gap * np.array([x, share]), setting.targets, 0.0, "max-normalised", False
            )

        error = 64 * rounding.UNIT * (1 + np.abs(low) / (gap * x))
        trial.within(s(y) - [x / y, 1], error, "s = d / max d")
        trial.within(s(2 * x)[0] - 0.5, error, "s_1 follows another weight's d")
        trial.within(s(y)[0] / s(y + 0.1)[0] - (y + 0.1) / y, 4 * error * y / x, "s_1 changes when w_2 moves")


@claim(
    "A5",
    "The cap",
    "beyond the outermost target s grows without bound and D1's descent fails; held at S = λ(Δ/2+ε) there it "
    "is the scale of a warp again, linear outside, and descent holds everywhere",
    tests=("scale", "warp", "psgd_step"),
)
def cap(subject: Subject, trial: Trial) -> None:
    """Growth without the cap, the bound with it, linearity outside, and descent far from the range."""

    @trial.holds(
        setting=setups(st.one_of(uniform_grids(False), uneven_targets(2)), cap=True),
        x=powers(-2, 3),
        up=st.booleans(),
    )
    def outside(setting: Setting, x: float, up: bool) -> None:
        points, side = setting.points, 1.0 if up else -1.0
        edge, gap = (points[-1], points[-1] - points[-2]) if up else (points[0], points[1] - points[0])
        w = edge + side * gap * np.array([0.5, 0.5 + x, 0.5 + 2 * x])
        args = (setting.targets, setting.eps, setting.strength)
        top = setting.strength * (gap / 2 + setting.eps)
        error = 32 * rounding.UNIT * (setting.strength * np.abs(w) + top)
        trial.within(subject.scale(w, *args, True) - top, error, "with the cap s = λ(Δ/2 + ε) outside")
        growth = setting.strength * (np.abs(w - edge) + setting.eps)
        trial.within(subject.scale(w, *args, False) - growth, error, "without the cap s grows without bound")
        y = subject.warp(*args, True)(w)
        size = 64 * rounding.UNIT * (np.abs(y).max() + rounding.in_image(setting.warp, w).max())
        trial.within(y[0] + y[2] - 2 * y[1], size + 8 * error[-1] / top**1.5 * gap * x, "f is linear outside")

    def rise(loss: Quadratic, setting: Setting, share: float) -> tuple[float, float]:
        """L(w⁺) − L(w) and L(w), far outside the range, at the largest step that D1 allows inside."""
        f = subject.formulas
        s = f.largest_scale(setting.widest, setting.eps, setting.strength)
        w = loss.parts[1] + (20 + 80 * share) * np.ptp(setting.points)
        lr = f.largest_step(loss.smoothness, s)
        return loss.value(subject.psgd_step(w, loss.gradient(w), lr, setting.warp)) - loss.value(
            w
        ), loss.value(w)

    grids = setups(uniform_grids(lattice=False), cap=True)
    problems = grids.flatmap(lambda s: st.tuples(st.just(s), quadratics(s.unit)))

    @trial.holds(cost=2, problem=problems, share=st.floats(0, 1))
    def descent(problem: tuple[Setting, Quadratic], share: float) -> None:
        change, size = rise(problem[1], problem[0], share)
        trial.at_most(change, 0.0, 1e-12 * size, "with the cap the loss falls from far outside")

    @trial.refutes(problem=problems, share=st.floats(0, 1))
    def descent_without_cap(problem: tuple[Setting, Quadratic], share: float) -> None:
        """Without the cap, too, the loss falls from far outside."""
        setting = problem[0]
        change, size = rise(problem[1], Setting(setting.targets, setting.eps, setting.strength), share)
        trial.at_most(change, 0.0, 1e-12 * size, "without the cap the loss falls from far outside")
