"""Chapter C: in what sense the rescaling preserves volume."""

import numpy as np
from hypothesis import strategies as st

from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.quadrature import cells, gauss, half_cell
from psgd_ref.laws.drawing.strategies import (
    Placed,
    Setting,
    placed,
    powers,
    seeds,
    setups,
    target_sets,
    uniform_grids,
)
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

_lattices = setups(uniform_grids(lattice=True), cap=False)
_smooth_lattices = setups(uniform_grids(lattice=True), eps="positive", cap=False)
_several = setups(target_sets(several=True), cap=False)
_smooth = setups(target_sets(several=True), eps="positive", cap=False)

# Monte-Carlo checks allow 6 standard errors: one false alarm in 5·10⁸ draws of a normal variable.
_SIGMAS = 6.0

POINTWISE = claim(
    "C1",
    "Volume is preserved pointwise",
    "det DF = ∏ s_i^(−1/2) = 1 at every point; in truth, in every gap and at every strength the factor is "
    "larger on the target than on the wall, so it is not 1 on both, and on an endless lattice under the "
    "volume strength neighbourhoods of targets are stretched and cell walls compressed",
    source="review",
    truth="refuted",
    tests=("warp", "formulas.volume_factor"),
)


@POINTWISE.holds(setting=_smooth_lattices, k=st.integers(-8, 8), share=st.floats(0.05, 0.45))
def measured(subject: Subject, trial: Trial, setting: Setting, k: int, share: float) -> None:
    """det DF by differences, as a product, and its sides on a lattice under the volume strength."""
    warp = subject.warp(setting.targets, setting.eps, "volume")
    unit = setting.unit
    w = np.array([k, k + share]) * unit
    d = np.array([0.0, share * unit])
    # The central difference is within h²·max|f‴|/24; off the target f‴ is 3/4 f′/(d+ε)².
    h = 1e-3 * np.minimum(share * unit, d + setting.eps)[1]
    slope = (warp(w[1:] + h) - warp(w[1:] - h)) / (2 * h)
    error = 64 * rounding.UNIT * (np.abs(warp(w[1:])) + np.abs(w[1:]) + unit) / h + 1e-5 * slope
    trial.within(subject.formulas.volume_factor(w[1:], warp) - slope, error, "det DF in one dimension")
    factors = [subject.formulas.volume_factor(x, warp) for x in (w[:1], w[1:], w)]
    trial.within(factors[2] / (factors[0] * factors[1]) - 1, 1e-12, "det DF is a product")
    wall = np.array([k + 0.5]) * unit
    trial.true(factors[0] > 1, "neighbourhoods of targets are stretched")
    trial.true(subject.formulas.volume_factor(wall, warp) < 1, "cell walls are compressed")


@POINTWISE.holds(setting=setups(target_sets(several=True), eps="positive"), gap=st.integers(0, 255))
def never_one(subject: Subject, trial: Trial, setting: Setting, gap: int) -> None:
    """On any set and at any strength the factor on a target is that on the wall times √(1 + Δ/2ε)."""
    points = setting.points
    low, high = points[gap % (len(points) - 1) :][:2]
    warp = subject.warp(setting.targets, setting.eps, setting.strength, setting.cap)
    target, wall = (subject.formulas.volume_factor(np.array([x]), warp) for x in (low, (low + high) / 2))
    expected = np.sqrt(1 + (high - low) / (2 * setting.eps))
    error = 64 * rounding.UNIT * (1 + (np.abs(points).max() + high - low) / setting.eps)
    trial.within(target / wall / expected - 1, error, "det DF on a target and on a wall differ")
    if setting.cap and not setting.endless:
        beyond = points[-1:] + 3 * (points[-1] - points[-2])
        top = setting.strength * ((points[-1] - points[-2]) / 2 + setting.eps)
        factor = subject.formulas.volume_factor(beyond, warp)
        trial.within(factor * np.sqrt(top) - 1, error, "beyond a cap det DF is that of its edge")


@POINTWISE.refutes(at=placed(_smooth, beyond=0.0))
def preserved(subject: Subject, trial: Trial, at: Placed) -> None:
    """Det DF = 1 at every point, under the volume strength."""
    warp = subject.warp(at.setting.targets, at.setting.eps, "volume")
    trial.within(subject.formulas.volume_factor(at.w, warp) - 1, 1e-6, "det DF(w) = 1")


CELLWISE = claim(
    "C2",
    "Volume is preserved cell by cell",
    "on an endless lattice f̂ = (Δ/ℓ)f maps every cell onto itself, so F̂ preserves the volume of every "
    "union of lattice cells in Rⁿ, ∫_cell |det DF̂| = Δⁿ, and F̂ commutes with translations of the lattice "
    "(a finite grid: in its own cells, as far as both points lie in them)",
    tests=("warp",),
)


@CELLWISE.holds(setting=_lattices, k=st.integers(-1000, 1000), share=st.floats(-0.499, 0.499))
def maps(subject: Subject, trial: Trial, setting: Setting, k: int, share: float) -> None:
    """Images of cells, points that stay in their cell, and quadrature."""
    warp, unit = subject.warp(setting.targets, setting.eps, "volume"), setting.unit
    plain = subject.warp(setting.targets, setting.eps, 1.0)
    length = (plain(np.array([unit])) - plain(np.array([0.0])))[0]
    w = np.array([k - 0.5, k, k + 0.5, k + share]) * unit
    u = 64 * rounding.UNIT * (np.abs(w) + unit)
    # An error e of w is 2√(e/λ*) in y at a target when ε = 0, and λ* is at least 1/(2(Δ/2+ε)).
    steep = u * np.sqrt(1 + unit / setting.eps) if setting.eps else 2 * np.sqrt(u * unit)
    trial.within(warp(w) - unit / length * plain(w), u + steep, "f̂ = (Δ/ℓ) f")
    trial.within((warp(w) - w)[:3], (u + steep)[:3], "f̂ keeps the walls and the target of every cell")
    trial.within(setting.targets.nearest(warp(w[3:])) - k * unit, 1e-9 * unit, "f̂ maps a cell into itself")
    trial.within(warp(w + unit) - warp(w) - unit, 2 * (u + steep), "f̂ commutes with translations")
    nodes, weights = cells(np.array([0, 1]) * unit)
    trial.within(warp.derivative(nodes) @ weights / unit - 1, 1e-5, "∫_cell |det DF̂| = Δ")


@CELLWISE.holds(setting=setups(uniform_grids(lattice=False), cap=False), share=st.floats(0, 1))
def inside_a_finite_grid(subject: Subject, trial: Trial, setting: Setting, share: float) -> None:
    """In the cells of a finite grid, half cells at its ends, f̂ is that of the lattice."""
    warp, unit, end = subject.warp(setting.targets, setting.eps, "volume"), setting.unit, setting.points[-1]
    u = 64 * rounding.UNIT * (end + unit)
    steep = u * np.sqrt(1 + unit / setting.eps) if setting.eps else 2 * np.sqrt(u * unit)
    walls = np.arange(-2 * end / unit, 2 * end / unit + 1) * unit / 2
    trial.within(warp(walls) - walls, u + steep, "f̂ keeps targets and walls of a finite grid")
    w = np.array([-end + share * unit])
    trial.within(warp(w + unit) - warp(w) - unit, 2 * (u + steep), "and commutes with translations in it")


@CELLWISE.holds(cost=5, setting=_smooth_lattices, n=st.integers(1, 4), seed=seeds)
def several_dimensions(subject: Subject, trial: Trial, setting: Setting, n: int, seed: int) -> None:
    """The mean determinant over cells of several dimensions, by Monte-Carlo."""
    rng, unit = np.random.default_rng(seed), setting.unit
    warp = subject.warp(setting.targets, setting.eps, "volume")
    w = rng.uniform(-2.5, 2.5, (4000, n)) * unit
    determinant = warp.derivative(w).prod(axis=1)
    mean, error = determinant.mean(), determinant.std() / np.sqrt(len(w))
    # The sample's own spread misses rare large values: add that of the exact second moment.
    moment = _mean_square_slope(setting.eps / unit) ** n
    spread = max(error, np.sqrt(moment / len(w)))
    trial.within(mean - 1, _SIGMAS * spread + 1e-9, "the mean of |det DF̂| over cells of Rⁿ is 1")


def _mean_square_slope(e: float) -> float:
    """Mean of f̂′² = 1/s over a cell, e = ε/Δ: (2/λ*Δ) ln(1 + 1/2e)."""
    strength = (4 * (np.sqrt(0.5 + e) - np.sqrt(e))) ** 2
    return float(2 / strength * np.log1p(0.5 / e))


VOLUME_STRENGTH = claim(
    "C3",
    "The volume-preserving strength",
    "f̂ belongs to λ* = (ℓ/Δ)² (ℓ at λ = 1), which tends to 8/Δ as ε → 0; under it the mean of 1/√s over a "
    "cell is 1 and, for ε = 0, the mean of s is 2",
    tests=("scale", "formulas.volume_strength", "formulas.mean_scale_of_cell"),
)


@VOLUME_STRENGTH.holds(setting=_lattices, k=st.integers(-8, 8))
def means(subject: Subject, trial: Trial, setting: Setting, k: int) -> None:
    """λ* from its formula, its limit, and both means by quadrature."""
    unit, eps = setting.unit, setting.eps
    best = subject.formulas.volume_strength(setting.targets, eps)
    length = 2 / (np.sqrt(unit / 2 + eps) + np.sqrt(eps))  # ℓ/Δ, the difference of roots as a quotient
    trial.within(best / length**2 - 1, 1e-12, "λ* = (ℓ/Δ)²")
    trial.at_most(1 - best * unit / 8, 2 * np.sqrt(2 * eps / unit), 1e-12, "λ* → 8/Δ as ε → 0")
    trial.true(best * unit / 8 <= 1 + 1e-12, "λ* ≤ 8/Δ")
    nodes, weights = half_cell(k * unit, 1.0, unit / 2)
    s = subject.scale(nodes, setting.targets, eps, "volume", False)
    positive = s > 0
    mean = (1 / np.sqrt(np.where(positive, s, np.inf))) @ weights / (unit / 2)
    trial.within(mean - 1, 1e-5 if eps else 1e-4 * np.sqrt(1 + abs(k)), "the mean of 1/√s is 1")
    expected = subject.formulas.mean_scale_of_cell(unit, eps, best)
    trial.within(s @ weights / (unit / 2) / expected - 1, 1e-9, "the mean of s is λ*(Δ/4 + ε)")
    if eps == 0:
        trial.within(expected - 2, 1e-9, "the mean of s is 2 at ε = 0")


CHANGE_OF_VARIABLES = claim(
    "C4",
    "Change of variables",
    "vol F(A) = ∫_A |det DF|, and the push-forward of any density keeps mass 1",
    source="standard",
    tests=("warp",),
)


@CHANGE_OF_VARIABLES.holds(setting=_several)
def boxes(subject: Subject, trial: Trial, setting: Setting) -> None:
    """An interval's image by quadrature, and the mass of a density pushed forward, q(y) = p(f⁻¹(y))/f′.

    In a half cell f⁻¹ is of degree 2 in y and 1/f′ of degree 1, so 30 (w−a)²(b−w)²/(b−a)⁵ becomes a
    polynomial of degree 9, which ten Gauss–Legendre nodes integrate exactly.
    """
    warp = subject.warp(setting.targets, setting.eps, setting.strength)
    inside = setting.points[:8]
    ends = inside[[0, -1]]
    nodes, weights = cells(inside)
    slope = warp.derivative(nodes)
    slope = np.where(np.isfinite(slope), slope, 0.0)
    image = np.diff(warp(ends))[0]
    # A node's d has the error of the node: where d is as small, so is the node's weight.
    narrow = np.abs(inside).max() / np.diff(inside).min()
    loose = 1e-5 + 1e-4 * np.sqrt(1 + 1e-3 * narrow)
    trial.within(slope @ weights / image - 1, loose, "∫_a^b f′ = f(b) − f(a)")

    kinks = np.sort(np.concatenate([inside, (inside[:-1] + inside[1:]) / 2]))
    y, weights = gauss(warp(kinks), 10)
    back = warp.inverse(y)
    x = (back - ends[0]) / np.ptp(ends)
    slope = warp.derivative(back)
    density = 30 * x**2 * (1 - x) ** 2 / np.ptp(ends) / np.where(slope > 0, slope, np.inf)
    # The rounding of a weight moves s = 1/f′² by λ times that: relative to d at the nodes next to a target.
    rough = 1e-9 + 1e3 * rounding.UNIT * (1 + narrow)
    trial.within(density @ weights - 1, rough, "the push-forward keeps mass 1")


@CHANGE_OF_VARIABLES.holds(cost=5, setting=_smooth, n=st.integers(2, 3), seed=seeds)
def balls(subject: Subject, trial: Trial, setting: Setting, n: int, seed: int) -> None:
    """vol F(B) by Monte-Carlo, once over the ball and once over the image's bounding box."""
    rng = np.random.default_rng(seed)
    warp = subject.warp(setting.targets, setting.eps, setting.strength)
    points = setting.points
    centre, radius = points[rng.integers(0, len(points), n)], setting.unit
    w = centre + radius * rng.uniform(-1, 1, (4000, n))
    within = np.sum((w - centre) ** 2, axis=1) < radius**2
    ball = within * warp.derivative(w).prod(axis=1) * (2 * radius) ** n
    low, high = warp(centre - radius), warp(centre + radius)
    y = rng.uniform(low, high, (4000, n))
    image = (np.sum((warp.inverse(y) - centre) ** 2, axis=1) < radius**2) * np.prod(high - low)
    error = np.hypot(ball.std(), image.std()) / np.sqrt(4000)
    # Rare large determinants near targets: the exact second moment of f′ over the box bounds their part.
    slopes = [np.mean(warp.derivative(np.linspace(c - radius, c + radius, 20001)) ** 2) for c in centre]
    heavy = np.sqrt(np.prod(slopes) / 4000) * (2 * radius) ** n
    trial.within(ball.mean() - image.mean(), _SIGMAS * (error + heavy), "vol F(ball) = ∫_ball |det DF|")


UNIMODULAR = claim(
    "C5",
    "The unimodular strength",
    "the linear map g ↦ s ⊙ g preserves volume iff the geometric mean of s is 1; strength "
    '"unimodular" divides by the geometric mean, which supposes s > 0: with one weight on its target at '
    "ε = 0 the determinant is 0 at every strength, and it is refused",
    tests=("scale",),
)


@UNIMODULAR.holds(at=placed(setups(), size=3), stretch=powers(-1, 1))
def determinant(subject: Subject, trial: Trial, at: Placed, stretch: float) -> None:
    """The determinant of the map, by the volume of the image of a box, and the rule's ratios."""
    setting, w = at.setting, at.w
    args = (setting.targets, setting.eps)
    # Off targets, and off the subnormal numbers next to zero, whose ratios have no digits.
    off = setting.warp.scale(w) > 1e-100 * setting.strength * setting.unit
    above = setting.targets.gap(setting.targets.position(w), np.ones_like(w))
    w = np.where(off, w, setting.targets.nearest(w) + np.where(np.isfinite(above), above, setting.unit) / 4)
    s = subject.scale(w, *args, "unimodular", setting.cap)
    # The image of the unit cube is the parallelepiped on the images of its edges.
    logs, root = np.log(s), np.exp(np.log(s).mean())
    image = np.linalg.det(np.array([s / root * edge for edge in np.eye(3)]))
    trial.within([np.log(image), np.log(root)], 1e-9 * (1 + np.abs(logs).max()), "|det diag s| = 1")
    other = np.log(stretch * s).sum()
    trial.within(other - 3 * np.log(stretch), 1e-9 * (1 + np.abs(logs).max()), "another mean changes volume")
    plain = subject.scale(w, *args, 1.0, setting.cap)
    trial.within(s / s[0] / (plain / plain[0]) - 1, 1e-12, "unimodular is a strength: ratios stay")


@UNIMODULAR.holds(at=placed(setups(eps="zero"), size=3))
def on_a_target(subject: Subject, trial: Trial, at: Placed) -> None:
    """With one weight on its target at ε = 0 nothing can be made unimodular: refused, in place of s = 0."""
    setting, w = at.setting, at.w.copy()
    w[0] = setting.targets.nearest(w[:1])[0]
    try:
        s = subject.scale(w, setting.targets, 0.0, "unimodular", setting.cap)
    except ValueError:
        return
    trial.true(np.prod(s) == 1, "a strength that does not exist is refused")
