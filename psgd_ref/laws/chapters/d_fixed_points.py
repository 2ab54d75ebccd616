"""Chapter D, second half: where PSGD comes to rest."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq, lsq_linear

from psgd_ref.core import UniformGrid, Warp
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.losses import Quadratic
from psgd_ref.laws.drawing.quadrature import gauss
from psgd_ref.laws.drawing.strategies import (
    Placed,
    Setting,
    placed,
    powers,
    seeds,
    setups,
    target_sets,
    uneven_targets,
    uniform_grids,
)
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Step, Subject
from psgd_ref.laws.trial import Trial

_several = target_sets(several=True)
_inside = placed(setups(_several, eps="zero", cap=False), beyond=0.0)
_one = placed(setups(_several, eps="zero", cap=False), size=1, beyond=0.0)

FIXED_POINTS = claim(
    "D5",
    "Fixed points",
    "with full gradients and ε > 0 the fixed points are exactly the critical points of L, so PSGD is no "
    "penalty and adds no bias of its own; at ε = 0 every target is fixed as well, so that a parameter that "
    "starts on one, such as a bias at 0, stays there, and under D1's conditions only s_i g_i² → 0; under "
    "gradient noise the mean of w is in general no critical point; small noise draws it to its target (E9)",
    tests=("psgd_step",),
)


@FIXED_POINTS.holds(at=placed(setups(eps="positive")), t=st.floats(0.01, 1), up=st.booleans())
def critical_points(subject: Subject, trial: Trial, at: Placed, t: float, up: bool) -> None:
    """No step without a gradient, and a step of ηλε|g| at least with one."""
    setting, w = at.setting, at.w
    g = np.full_like(w, (t if up else -t) / setting.strength)
    still = subject.psgd_step(w, 0 * g, 1.0, setting.warp) - w
    trial.within(still, rounding.FLUSHED, "critical points are fixed")
    moved = (w - subject.psgd_step(w, g, 1.0, setting.warp)) * np.sign(g)
    error = rounding.in_step(setting.warp, w, g, 1.0)
    trial.at_most(t * setting.eps, moved, error, "elsewhere every weight moves by ηλε|g| or more")


@FIXED_POINTS.holds(at=_inside, seed=seeds)
def targets(subject: Subject, trial: Trial, at: Placed, seed: int) -> None:
    """Rest on targets at ε = 0, up to one rounding of the target, k·Δ, and of the sum."""
    setting, w = at.setting, at.setting.targets.nearest(at.w)
    t = np.random.default_rng(seed).standard_normal(w.shape)
    still = subject.psgd_step(w, t / setting.strength, 1.0, setting.warp) - w
    allowed = rounding.FLUSHED + (1 + np.abs(t)) * rounding.UNIT * np.abs(w)
    trial.within(still, allowed, "every target is fixed at ε = 0")


@FIXED_POINTS.holds(cost=4, at=placed(setups(_several, cap=True)), seed=seeds, share=st.floats(0.05, 1.0))
def vanishes(subject: Subject, trial: Trial, at: Placed, seed: int, share: float) -> None:
    """Σ_k ‖g_k‖²_s ≤ 2(L₀ − L*)/η under D1's conditions, for ever: so s_i g_i² → 0."""
    setting, w = at.setting, at.w
    loss, f = Quadratic(seed, w.size, setting.unit), subject.formulas
    top = f.largest_scale(setting.widest, setting.eps, setting.strength)
    lr = share * f.largest_step(loss.smoothness, top)
    bound, total = 2 * loss.value(w) / lr, 0.0
    for _ in range(60):
        g = loss.gradient(w)
        total += float(np.sum(setting.warp.scale(w) * g**2))
        w = subject.psgd_step(w, g, lr, setting.warp)
    size = loss.smoothness * float(np.sum(w**2) + np.sum(at.w**2) + setting.unit**2)
    trial.at_most(total, bound, 60 * 1e-13 * size / lr, "Σ_k ‖g_k‖²_s ≤ 2(L₀ − L*)/η")


@FIXED_POINTS.refutes(seed=seeds, side=st.sampled_from([-1.0, 1.0]))
def no_bias_under_noise(subject: Subject, trial: Trial, seed: int, side: float) -> None:
    """Under gradient noise, too, the mean of the weights is the minimiser."""
    rng, best = np.random.default_rng(seed), side * 0.3
    w, warp, total = np.full(2000, best), Setting(UniformGrid(1.0), 0.05, 8.0).warp, 0.0
    for k in range(400):
        w = subject.psgd_step(w, (w - best) + rng.standard_normal(2000), 0.1, warp)
        total += float(w.mean()) / 200 if k >= 200 else 0.0
    trial.at_most(abs(total - best), 0.03, 0.0, "the mean weight is the minimiser")


BARRIER = claim(
    "D6",
    "The barrier",
    "at ε = 0 and on fixed targets, steps w − ηs ⊙ u with ηλ|u_i| < 1 for all i (u = g, noisy or averaged, "
    "but not momentum of the scaled gradient) leave every weight in its inter-target interval; for L "
    "convex and β-smooth, its minimum L_box over that box attained at w_box, PSGD with ηβS ≤ 1 (S ≥ s in "
    "the box) and ηλ|g_i| < 1 throughout, where it converges from off the targets, converges to a "
    "minimiser over the box, and the flow, as mirror steps with ηβS ≤ 1 and t = ηK, has "
    "L(w(t)) − L_box ≤ D_Φ(w_box, w₀)/t",
    tests=("psgd_step", "mirror_step", "formulas.target_interval", "formulas.mirror_divergence"),
)


def _leaves(trial: Trial, w: Array, box: tuple[Array, Array], setting: Setting) -> None:
    low, high = box
    error = 8 * rounding.UNIT * np.abs(w) + rounding.TINY
    trial.at_most(
        np.maximum(low - w, w - high) / setting.unit, 0.0, error / setting.unit, "w stays in its box"
    )


@BARRIER.holds(at=placed(setups(eps="zero")), seed=seeds, steps=st.integers(1, 8))
def stays(subject: Subject, trial: Trial, at: Placed, seed: int, steps: int) -> None:
    """The barrier under any gradients and noise, from inside the range and outside, and what the box is."""
    setting, w = at.setting, at.w
    low, high = subject.formulas.target_interval(w, setting.targets)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        t = rng.choice([-0.999, 0.999, rng.uniform(-0.999, 0.999)], w.shape)
        w = subject.psgd_step(w, t / setting.strength, 1.0, setting.warp)
        _leaves(trial, w, (low, high), setting)
    if setting.endless and np.abs(at.w).max() > 7 * setting.unit:
        return
    points = setting.points
    below, above = np.searchsorted(points, at.w, "right") - 1, np.searchsorted(points, at.w, "left")
    padded = np.concatenate([[-np.inf], points, [np.inf]])
    # A target that a lattice rounds otherwise may be a hair beside the weight.
    error = 4 * rounding.UNIT * np.abs(at.w) + rounding.TINY
    on = np.abs(at.w - setting.targets.nearest(at.w)) <= error
    exact = at.w == setting.targets.nearest(at.w)
    trial.true(~exact | ((low == at.w) & (high == at.w)), "the box of a weight on its target is that point")
    for found, expected in ((low, padded[below + 1]), (high, padded[above + 1])):
        same = on | (found == expected)
        trial.true(same, "the box is the interval between the neighbouring targets")


@BARRIER.refutes(at=placed(setups(_several, eps="positive", cap=False), size=1, beyond=0.0))
def stays_with_eps(subject: Subject, trial: Trial, at: Placed) -> None:
    """With ε > 0, too, no weight leaves."""
    box = subject.formulas.target_interval(at.w, at.setting.targets)
    g = np.full_like(at.w, 0.9 / at.setting.strength)
    _leaves(trial, subject.psgd_step(at.w, g, 1.0, at.setting.warp), box, at.setting)


@BARRIER.refutes(at=_one)
def stays_with_momentum(subject: Subject, trial: Trial, at: Placed) -> None:
    """With momentum of the scaled gradient, too, no weight leaves."""
    setting, w, velocity = at.setting, at.w, np.zeros_like(at.w)
    box = subject.formulas.target_interval(w, setting.targets)
    for _ in range(12):
        move = subject.psgd_step(w, np.full_like(w, 0.9 / setting.strength), 1.0, setting.warp) - w
        velocity = 0.9 * velocity + move
        w = w + velocity
        _leaves(trial, w, box, setting)


_boxed = setups(st.one_of(uniform_grids(), uneven_targets(2)), eps="zero", cap=True)


@BARRIER.holds(cost=8, at=placed(_boxed, beyond=3.0), seed=seeds, kind=st.sampled_from(["mirror", "psgd"]))
def box_solution(subject: Subject, trial: Trial, at: Placed, seed: int, kind: str) -> None:
    """The best point of the box by another solver, and the bound, from weights inside the range and outside.

    Mirror steps at ηβS = 1; PSGD at a tenth of it and of its own ηλ|g| < 1, where it is as good as the flow.
    """
    setting, w0 = at.setting, _off_targets(at)
    loss = Quadratic(seed, w0.size, setting.unit, spread=1.0)
    low, high = subject.formulas.target_interval(w0, setting.targets)
    h, c, _ = loss.parts
    root = np.linalg.cholesky(h).T
    best = lsq_linear(root, root @ c, bounds=(low, high), method="bvls").x.clip(low, high)
    least = loss.value(best)
    top = subject.formulas.largest_scale(setting.widest, 0.0, setting.strength)
    lr = 1 / (loss.smoothness * top)
    if kind == "psgd":
        start = float(np.sqrt(2 * loss.value(w0) / loss.parts[2][0]))  # ‖w − c‖ never grows beyond it
        lr = 0.1 * min(lr, 1 / (setting.strength * loss.smoothness * start))
    step = subject.mirror_step if kind == "mirror" else subject.psgd_step
    w = _run(step, loss.gradient, w0, lr, setting.warp, 150)
    divergence = subject.formulas.mirror_divergence(best, w0, setting.targets, setting.strength, setting.cap)
    # A PSGD step falls short of the flow's decrease of D_Φ by a share ηλ|g|/2 of it.
    bound = subject.formulas.box_bound(divergence, lr * 150) * (1.1 if kind == "psgd" else 1.0)
    noise = 1e-9 * (loss.value(w0) + loss.smoothness * setting.unit**2)
    trial.at_most(loss.value(w) - least, bound, noise, f"{kind}: L(w_K) − L_box ≤ D_Φ(w_box, w₀)/(ηK)")
    trial.at_most(least - loss.value(w), 0.0, noise, f"{kind}: nothing in the box is better")


@BARRIER.holds(at=placed(_boxed, beyond=3.0), share=st.floats(0, 1))
def divergence(subject: Subject, trial: Trial, at: Placed, share: float) -> None:
    """D_Φ is the integral of (to − x)/s(x) from the start on, inside the range and outside, capped or not."""
    setting, start = at.setting, _off_targets(at)
    low, high = subject.formulas.target_interval(start, setting.targets)
    reach = 4 * setting.unit
    to = np.where(np.isinf(low), high - reach * share, np.where(np.isinf(high), low + reach * share, 0.0))
    inner = np.isfinite(high - low)
    to = np.where(inner, np.where(inner, low, 0) + share * np.where(inner, high - low, 0), to)
    on = setting.targets.nearest(at.w[:1])  # a weight on its target, which stays there
    start, to = np.append(start, on), np.append(to, on)
    trial.within(subject.formulas.box_bound(3.0, 6.0) - 0.5, 1e-15, "the bound is D_Φ/t")
    for cap in (False, True):
        own = Setting(setting.targets, 0.0, setting.strength, cap).warp
        found = subject.formulas.mirror_divergence(to, start, setting.targets, setting.strength, cap)
        expected = sum(_bregman(float(a), float(b), own) for a, b in zip(to, start, strict=True))
        size = float(np.sum(np.abs(to - start))) / setting.strength
        trial.within(found - expected, 2e-4 * (expected + size), "D_Φ = ∫ (to − x)/s dx")


_NODES = gauss(np.array([0.0, 1.0]), 800)


def _bregman(to: float, start: float, warp: Warp) -> float:
    """∫ from start to `to` of (to − x)/s(x) dx."""
    # Substituting x = to + (start − to) u⁴ crowds nodes at `to`, where s may vanish with (to − x).
    u, weights = _NODES
    x = to + (start - to) * u**4
    s = warp.scale(x)
    inner = np.where(s > 0, (to - x) * 4 * (to - start) * u**3 / np.where(s > 0, s, 1.0), 0.0)
    return float(inner @ weights)


def _off_targets(at: Placed) -> Array:
    """The weights, not far out, those on a target or next to it moved a tenth of the least gap away."""
    targets, points = at.setting.targets, at.setting.points
    room, reach = float(np.diff(points).min()) / 10, 3 * at.setting.unit
    w = np.clip(at.w, points[0] - reach, points[-1] + reach)
    nearest = targets.nearest(w)
    side = np.where(w >= nearest, 1.0, -1.0)
    return np.where(np.abs(w - nearest) < room, nearest + side * room, w)


def _run(
    step: Step, gradient: Callable[[Array], Array], w: Array, lr: float, warp: Warp, steps: int
) -> Array:
    for _ in range(steps):
        w = step(w, gradient(w), lr, warp)
    return w


BASINS = claim(
    "D7",
    "Equal basins in one dimension",
    "for ε > 0 the one-dimensional flow has the basins of gradient descent, and so have steps with ηβS ≤ 1: "
    "only time is rescaled (at ε = 0 targets stop it); in two dimensions basins can change",
    tests=("psgd_step",),
)


@BASINS.holds(cost=4, seed=seeds, step=powers(-2, 2), eps=powers(-2, 0), share=st.floats(0.3, 1.0))
def one_dimension(subject: Subject, trial: Trial, seed: int, step: float, eps: float, share: float) -> None:
    """Steps that never pass a critical point of a wavy loss."""
    rng = np.random.default_rng(seed)
    k, a, phase = np.arange(1, 4) * 2 / step, rng.uniform(0.2, 1, 3), rng.uniform(0, 2 * np.pi, 3)

    def slope(w: Array) -> Array:
        return np.asarray(np.sin(np.multiply.outer(w, k) + phase) @ (a * k))

    mesh = np.linspace(-4 * step, 4 * step, 801)
    signs = np.flatnonzero(np.diff(np.sign(slope(mesh))))
    roots = np.array([brentq(lambda x: float(slope(np.array(x))), mesh[i], mesh[i + 1]) for i in signs])
    start = rng.uniform(roots[0], roots[-1], 30)
    setting = Setting(UniformGrid(step), eps * step, 8 / step)
    top = subject.formulas.largest_scale(step, setting.eps, setting.strength)
    lr = share * subject.formulas.largest_step(float(np.sum(a * k**2)), top)
    # Next to a root the rounding of its position decides; leave those starts out.
    clear = np.abs(start[:, None] - roots).min(axis=1) > 1e-6 * step
    w = start[clear]
    for _ in range(30):
        before, w = w, subject.psgd_step(w, slope(w), lr, setting.warp)
        settled = np.abs(before[:, None] - roots).min(axis=1) < 1e-9 * step
        trial.true(settled | ((w - before) * slope(before) < 0), "every step goes downhill")
        k_next = np.searchsorted(roots, before) - (slope(before) > 0)
        room = np.abs(roots[np.clip(k_next, 0, len(roots) - 1)] - before)
        moved = np.where(settled, 0.0, np.abs(w - before))
        trial.at_most(moved, room, 1e-9 * step, "no step passes a critical point: the basins are equal")


@BASINS.refutes(angle=st.floats(0.2, 1.3), u=st.floats(-0.3, 0.3), v=st.floats(-1, 1))
def two_dimensions(subject: Subject, trial: Trial, angle: float, u: float, v: float) -> None:
    """In two dimensions, too, the flow has the basins of gradient descent."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    def slope(w: Array) -> Array:
        # L = (u² − 1)²/4 + v²/2 in turned coordinates: two minima, u = ±1; GD keeps the sign of u.
        u, v = turn @ w
        return np.asarray(np.array([u**3 - u, v]) @ turn)

    setting = Setting(UniformGrid(1.0), 0.01, 2.0)
    start = np.array([u, v]) @ turn
    end = _run(subject.psgd_step, slope, start, 0.2, setting.warp, 60)
    trial.true((turn @ end)[0] * u >= 0, "PSGD ends in the basin of gradient descent")
