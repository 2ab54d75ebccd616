"""Chapter A: the warp."""

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.strategies import (
    MixingWarp,
    Placed,
    Setting,
    mixing_warps,
    placed,
    seeds,
    setups,
    shares,
    target_sets,
    uniform_grids,
)
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

_several = target_sets(several=True)

BIJECTION = claim(
    "A1",
    "f is a bijection",
    "f is an increasing bijection of R with f⁻¹∘f = id, C¹ for ε > 0, odd about every target within its "
    "cell; f(w+Δ) = f(w) + ℓ on an endless lattice; f⁻¹ is C¹ even for ε = 0, and its slope (f⁻¹)′ = √s is "
    "Lipschitz with λ/2 ((f⁻¹)″ itself does not exist on targets and walls, where it jumps between ±λ/2)",
    source="paper, Eq. (5)",
    tests=("warp",),
)


@BIJECTION.holds(drawn=placed(setups()))
def inverse(subject: Subject, trial: Trial, drawn: Placed) -> None:
    """Inverse both ways, and symmetry about the target."""
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


@BIJECTION.holds(drawn=placed(setups(eps="positive"), size=1), span=shares)
def slope(subject: Subject, trial: Trial, drawn: Placed, span: float) -> None:
    """Order and C¹ by the mean value theorem: some f′ in [a, b] is the mean slope of f.

    f′ is extreme at an end, a target or a wall. This binds f to f′ across cells: a jump of either, or a
    wrong slope, breaks it.
    """
    setting, a = drawn.setting, drawn.w
    warp, core = subject.warp(setting.targets, setting.eps, setting.strength, setting.cap), setting.warp
    b = a + span * setting.unit
    rise, length = warp(b) - warp(a), b - a
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


def _kinks(setting: Setting, near: Array) -> Array:
    """Targets and walls, of an endless lattice those around `near`, and where a cap begins."""
    points = setting.points
    if np.abs(near).max() > np.abs(points).max() + 8 * setting.unit:
        return np.asarray(setting.targets.nearest(near) + np.arange(-4, 5) * setting.unit / 2)
    walls = (points[:-1] + points[1:]) / 2
    caps = [2 * points[0] - walls[0], 2 * points[-1] - walls[-1]] if len(walls) else []
    return np.concatenate([points, walls, caps])


@BIJECTION.holds(drawn=placed(setups(uniform_grids(lattice=True)), size=2))
def symmetry(subject: Subject, trial: Trial, drawn: Placed) -> None:
    """Translation by one cell of a lattice."""
    setting, w = drawn.setting, drawn.w
    warp, core = subject.warp(setting.targets, setting.eps, setting.strength), setting.warp
    step = setting.unit
    length = warp(np.array([step])) - warp(np.array([0.0]))
    u = 64 * rounding.UNIT
    # At ε = 0 the error of w itself, once more, makes 2√(e/λ) in y.
    error = u * (rounding.in_image(core, w) + length) + 4 * np.sqrt(u * (np.abs(w) + step) / setting.strength)
    trial.within(warp(w + step) - warp(w) - length, error, "f(w+Δ) = f(w) + ℓ")


@BIJECTION.holds(drawn=placed(setups(), size=1), span=st.floats(-1, 1))
def inverse_is_smooth(subject: Subject, trial: Trial, drawn: Placed, span: float) -> None:
    """The Lipschitz bound on the slope of f⁻¹, across targets, walls and the edge of the cap."""
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
    trial.at_most(np.abs(there - w - move * slope), setting.strength / 4 * move**2, error + loose, statement)


INVERSE_SQUARE_SLOPE = claim(
    "A2",
    "s f′² = 1",
    "s = λ(d+ε), and s·f′² = 1 wherever s > 0 (on a target at ε = 0 f′ is infinite); for a diffeomorphism F, "
    "whose Jacobian J = ∂y/∂w is invertible everywhere, the matrix (JᵀJ)⁻¹ takes the place of s, and it is "
    "diagonal when F is elementwise",
    source="paper, Eq. (1)-(4), (6)",
    tests=("warp", "scale", "formulas.general_scale"),
)


@INVERSE_SQUARE_SLOPE.holds(drawn=placed(setups()))
def elementwise(subject: Subject, trial: Trial, drawn: Placed) -> None:
    """The scale from the distance by brute force, with the cap and without, and from f′."""
    setting, w = drawn.setting, drawn.w
    warp = subject.warp(setting.targets, setting.eps, setting.strength, setting.cap)
    s = subject.scale(w, setting.targets, setting.eps, setting.strength, setting.cap)
    points = setting.points
    # Of an endless lattice there are some points here, and d is theirs up to half a gap beyond.
    inside = np.abs(w) <= np.abs(points).max() + (0.5 if setting.endless else 4.5) * setting.unit
    d = np.abs(w[:, None] - points).min(axis=1)
    if setting.cap:
        outer = np.where(w < points[0], points[1] - points[0], points[-1] - points[-2]) / 2
        d = np.where((w < points[0]) | (w > points[-1]), np.minimum(d, outer), d)
        inside = inside | (not setting.endless)
    error = 8 * rounding.UNIT * setting.strength * (np.abs(w) + d + setting.eps) + rounding.TINY
    trial.within(np.where(inside, s - setting.strength * (d + setting.eps), 0), error, "s = λ(d + ε)")
    # f′ belongs to the warp's own d, which has the rounding of a target of its own.
    s = warp.scale(w)
    positive = s > rounding.TINY * 1e20
    f = warp.derivative(w)
    square = np.where(positive, s, 1.0) * np.where(positive, f, 1.0) ** 2
    trial.within(square - 1, 16 * rounding.UNIT, "s f′² = 1")
    trial.true(np.isinf(f[s == 0]), "f′ is infinite where s = 0")
    trial.within(np.where(inside, s - setting.strength * (d + setting.eps), 0), error, "f has this s")


@INVERSE_SQUARE_SLOPE.holds(warp=mixing_warps, seed=seeds)
def general(subject: Subject, trial: Trial, warp: MixingWarp, seed: int) -> None:
    """The general matrix from a step in Y, mapped back."""
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


EXTREMES = claim(
    "A3",
    "s is least at targets",
    "between two neighbouring targets a gap Δ apart s is least exactly on them (λε) and largest exactly "
    "midway (λ(Δ/2+ε)); of an uneven set this is the largest in each gap",
    source="paper, Eq. (6)",
    tests=("scale",),
)


@EXTREMES.holds(setting=setups(_several), x=st.floats(1e-6, 0.5), y=st.floats(1e-6, 0.5), left=st.booleans())
def ordered(subject: Subject, trial: Trial, setting: Setting, x: float, y: float, left: bool) -> None:
    """Values at targets and midway, and strict growth from the one to the other."""
    points, near, far = setting.points, min(x, y), max(x, y)
    gaps = np.diff(points)
    low = points[:-1] if left else points[1:]
    side = gaps if left else -gaps

    def s(share: float) -> Array:
        return subject.scale(low + share * side, setting.targets, setting.eps, setting.strength, setting.cap)

    eps, strength = setting.eps, setting.strength
    error = 16 * rounding.UNIT * strength * (np.abs(points).max() + gaps + eps)
    trial.within(s(0.0) - strength * eps, error, "s = λε at a target")
    trial.within(s(0.5) - strength * (gaps / 2 + eps), error, "s = λ(Δ/2 + ε) midway")
    growth = strength * (far - near) * gaps
    trial.true(s(0.0) < s(near) + error, "s is least at targets")
    trial.at_most(growth, s(far) - s(near), 2 * error, "s grows from target to midpoint at the rate λ")
    trial.true(s(far) <= s(0.5) + error, "s is largest midway")
