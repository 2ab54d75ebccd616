"""False statements that this ledger once made, or could be read to make: each has a counter-example.

They have the form of claims, but are in no ledger: a law that states them must be refuted, on every seed.
"""

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from psgd_ref.core import FiniteTargets, UniformGrid, Warp, Zero, position_scale
from psgd_ref.laws.chapters.a_warp_limits import _sectional_curvature
from psgd_ref.laws.chapters.h_quantizers import _true_error
from psgd_ref.laws.drawing.losses import Quadratic
from psgd_ref.laws.drawing.noises import NOISES
from psgd_ref.laws.drawing.strategies import (
    mixing_warps,
    placed,
    powers,
    pushes,
    seeds,
    setups,
    shares,
    uneven_targets,
    uniform_grids,
)
from psgd_ref.laws.ledger import Claim

STATEMENTS = []
_places = st.floats(0.01, 0.49)
_sides = st.sampled_from([-1.0, 1.0])


def states(id, statement, **inputs):
    """Decorator: the body holds subjects to a false reading of a claim."""

    def enter(body):
        entry = Claim(id, body.__name__, statement)
        entry.holds(**inputs)(body)
        STATEMENTS.append(entry)
        return body

    return enter


# A. The warp


@states("A1", "f⁻¹ has a second derivative everywhere", at=placed(setups(cap=False)))
def second_derivative_exists(subject, trial, at):
    warp = at.setting.warp
    y, h = warp(at.w), 1e-3 * np.sqrt(at.setting.unit / at.setting.strength)
    left, right = (
        warp.inverse(y) - 2 * warp.inverse(y + k * h) + warp.inverse(y + 2 * k * h) for k in (-1, 1)
    )
    trial.within(right - left, 1e-3 * at.setting.strength * h**2, "both one-sided second differences agree")


@states("A2", "s f′² = 1 everywhere", at=placed(setups(eps="zero")))
def product_is_one_on_targets(subject, trial, at):
    warp = at.setting.warp
    trial.within(warp.scale(at.w) * warp.derivative(at.w) ** 2 - 1, 1e-12, "s f′² = 1")


@states("A2", "any smooth invertible F has (JᵀJ)⁻¹", w=st.floats(-1, 1, allow_subnormal=False))
def cube_has_a_scale(subject, trial, w):
    j = 3 * w**2  # of F = w³, a smooth bijection
    trial.true(j > 1e-200, "(JᵀJ)⁻¹ exists")


@states("A4", "a scale that depends on another weight belongs to no warp", x=_places, z=_places)
def dependence_alone_rules_out_a_warp(subject, trial, x, z):
    grid = UniformGrid(1.0)
    curvature = _sectional_curvature(
        lambda d: 1 / np.sqrt(position_scale(d, grid, strength="mean-one")), np.array([x, z]), 0, 1
    )
    trial.true(abs(curvature) > 1e-2, "the ruler of the mean-one strength is curved")


@states("A5", "beyond the outermost target D1's descent fails without a cap", share=st.floats(0, 1))
def descent_always_fails_outside(subject, trial, share):
    warp, w, c = Warp(UniformGrid(1.0, 1), strength=2.0), np.array([1 + share]), 0.0
    after = subject.psgd_step(w, w - c, 1.0, warp)
    trial.true(np.abs(after) > np.abs(w), "the loss rises")


@states("A5", "with the cap s is held, and f linear, from the outermost target on", share=shares)
def linear_from_the_outermost_target(subject, trial, share):
    warp = Warp(UniformGrid(1.0, 1), 0.1, cap=True)
    trial.within(warp.scale(np.array([1 + share])) - 0.6, 1e-12, "s = λ(Δ/2 + ε)")


# B. One flow


@states("B1", "the gap falls with slope 2", warp=mixing_warps, seed=seeds, size=st.sampled_from([0.0, 1.0]))
def slope_is_two(subject, trial, warp, seed, size):
    rng = np.random.default_rng(seed)
    w, g = size * rng.standard_normal(warp.n), rng.standard_normal(warp.n)
    j = warp.jacobian(w)
    v = np.linalg.solve(j.T, g)
    g, v = g / np.abs(v).max(), v / np.abs(v).max()
    gaps = [
        np.linalg.norm(warp.inverse(warp(w) - lr * v) - w + lr * subject.formulas.general_scale(j) @ g)
        for lr in (0.02, 0.01)
    ]
    trial.within(np.log2(gaps[0] / gaps[1]) - 2, 0.3, "the slope is 2")


@states("B1", "the slope is 2 for F = arcsinh", w=st.floats(-1, 1))
def slope_is_two_for_arcsinh(subject, trial, w):
    s = 1 + w**2
    gaps = [abs(np.sinh(np.arcsinh(w) - lr * np.sqrt(s)) - w + lr * s) for lr in (0.1, 0.05)]
    trial.within(np.log2(gaps[0] / gaps[1]) - 2, 0.3, "the slope is 2")


@states("B2", "equality with σ = sign(w − w̄)", push=pushes(setups(eps="positive", cap=False), largest=0.5))
def equality_on_targets(subject, trial, push):
    w, g, lr, warp = push.w, push.g, push.lr, push.setting.warp
    side = np.sign(w - push.setting.targets.nearest(w))
    gap = subject.warped_step(w, g, lr, warp) - subject.psgd_step(w, g, lr, warp)
    most = subject.formulas.warp_remainder(w, g, lr, warp)
    on = side == 0
    trial.within(np.where(on, gap - side * most, 0), 1e-3 * most, "the gap is σ η²λsg²/4")


@states("B2", "equality inside the outermost cell", push=pushes(setups(cap=True), largest=0.5))
def equality_beyond_the_cap(subject, trial, push):
    w, g, lr, warp = push.w, push.g, push.lr, push.setting.warp
    target, points = push.setting.targets.nearest(w), push.setting.points
    outside = (w > points[-1]) | (w < points[0])
    gap = subject.warped_step(w, g, lr, warp) - subject.psgd_step(w, g, lr, warp)
    most = subject.formulas.warp_remainder(w, g, lr, warp)
    off = np.where(outside & ~push.setting.endless, gap - np.sign(w - target) * most, 0)
    trial.within(off, 1e-3 * most + 1e-12 * np.abs(w), "the gap is σ η²λsg²/4")


# C. Volume


@states(
    "C1",
    "cell walls are compressed under the volume strength",
    setting=setups(uneven_targets(2), eps="positive"),
)
def walls_are_compressed(subject, trial, setting):
    warp = Warp(setting.targets, setting.eps, "volume")
    walls = (setting.points[:-1] + setting.points[1:]) / 2
    trial.true(warp.derivative(walls) < 1 + 1e-9, "walls are compressed")


@states("C1", "cell walls are compressed at every strength", strength=powers(-2, 2), eps=powers(-2, 0))
def walls_are_compressed_at_every_strength(subject, trial, strength, eps):
    wall = np.array([0.5])
    trial.true(Warp(UniformGrid(1.0), eps, strength).derivative(wall) < 1, "walls are compressed")


@states(
    "C2",
    "f̂ of a uniform grid commutes with translations",
    at=placed(setups(uniform_grids(lattice=False))),
)
def finite_grids_commute(subject, trial, at):
    warp, step = Warp(at.setting.targets, at.setting.eps, "volume"), at.setting.unit
    trial.within(warp(at.w + step) - warp(at.w) - step, 1e-6 * step, "f̂(w + Δ) = f̂(w) + Δ")


@states("C5", "the unimodular strength exists for all weights", at=placed(setups(eps="zero"), size=3))
def unimodular_for_all_weights(subject, trial, at):
    try:
        s = subject.scale(at.w, at.setting.targets, 0.0, "unimodular", at.setting.cap)
    except ValueError:
        s = np.zeros_like(at.w)
    trial.true(np.prod(s) > 0.5, "the product of s is 1")


# D. Convergence


@states("D3", "the linear rate holds at every step size", seed=seeds, lr=st.floats(0.01, 2))
def linear_rate_at_every_step_size(subject, trial, seed, lr):
    warp, loss = Warp(UniformGrid(1.0), 0.1, 8.0), Quadratic(seed, 2, spread=1.0)
    w, start = loss.parts[1] + 0.4, loss.value(loss.parts[1] + 0.4)
    for _ in range(20):
        w = subject.psgd_step(w, loss.gradient(w), lr, warp)
    most = max(0.0, subject.formulas.pl_rate(lr, 0.1, 8.0, loss.pl)) ** 20 * start
    trial.at_most(loss.value(w), most, 1e-9, "L_K − L* ≤ (1 − ηλεμ)^K (L₀ − L*)")


@states("D4", "the stochastic bound holds at every step size", seed=seeds, lr=st.floats(0.01, 3))
def stochastic_bound_at_every_step_size(subject, trial, seed, lr):
    warp, rng = Warp(UniformGrid(1.0), 0.1, 8.0), np.random.default_rng(seed)
    w, total = np.full(200, 1.3), 0.0
    for _ in range(30):
        total += float(np.mean(warp.scale(w) * (w - 0.3) ** 2)) / 30
        w = subject.psgd_step(w, (w - 0.3) + 0.1 * rng.standard_normal(200), lr, warp)
    most = subject.formulas.stochastic_bound(0.5, lr, 30, 1.0, 8 * 0.6, 0.01)
    trial.at_most(total, most, 0.0, "the average of E‖g‖²_s is bounded")


@states("D5", "noise adds no bias", seed=seeds, c=st.floats(0.2, 0.4))
def no_bias(subject, trial, seed, c):
    rng, warp, w, mean = np.random.default_rng(seed), Warp(UniformGrid(1.0), 0.05, 8.0), np.full(2000, c), 0.0
    for k in range(400):
        w = subject.psgd_step(w, (w - c) + rng.standard_normal(2000), 0.1, warp)
        mean += float(w.mean()) / 200 if k >= 200 else 0.0
    trial.within(mean - c, 0.02, "E w is the minimiser")


@states(
    "D6", "with ηλ|g| < 1 PSGD on a convex loss has a limit", h=st.floats(0.8, 0.9), c=st.floats(0.29, 0.31)
)
def a_limit_exists(subject, trial, h, c):
    warp, w = Warp(UniformGrid(1.0), strength=8.0), np.array([0.2])
    for _ in range(300):
        trial.true(8 * h * np.abs(w - c) < 1, "ηλ|g| < 1")
        before, w = w, subject.psgd_step(w, h * (w - c), 1.0, warp)
    trial.within(w - before, 1e-9, "the run converges")


@states("D6", "D_Φ of the uncapped scale bounds capped runs", start=st.floats(1.5, 4), c=st.floats(50, 200))
def divergence_without_the_cap(subject, trial, start, c):
    targets = UniformGrid(1.0, 1)
    warp, w0 = Warp(targets, strength=8.0, cap=True), np.array([start])
    w = w0
    for _ in range(30):
        w = subject.mirror_step(w, w - c, 0.01, warp)
    bound = subject.formulas.box_bound(
        subject.formulas.mirror_divergence([c], w0, targets, 8.0, cap=False), 0.3
    )
    trial.at_most(0.5 * (w - c) ** 2, bound, 0.0, "L − L_box ≤ D_Φ/t")


@states("D7", "the flow has the basins of gradient descent at ε = 0", start=st.floats(-0.4, 0.4))
def equal_basins_at_zero_eps(subject, trial, start):
    warp, w = Warp(UniformGrid(1.0), strength=2.0), np.array([start])
    for _ in range(300):
        w = subject.psgd_step(w, w - 0.3, 0.2, warp)
    trial.within(w - 0.3, 1e-3, "it ends in the one minimum")


# E. Clustering


@states("E1", "the tilted density holds for slopes of the order of √v", size=powers(-2.5, -1))
def slope_of_the_order_of_root_v(subject, trial, size):
    # Two-valued noise, a = √v/2 towards the target: exponents of p ∝ (d + ε)^(−x).
    def moment(theta):
        return np.log(0.5 * (1 + 0.5 * size) ** theta + 0.5 * (1 - 1.5 * size) ** theta)

    exact = brentq(moment, 0.5 / size, 5 / size) + 1
    log = subject.formulas.stationary_log_density([1e3, 1e4], 1e-3, 1.0, 0.5, size, 1.0)
    found = -(log[1] - log[0]) / np.log(10)
    trial.within(found / exact - 1, 0.05, "the exponent of the tail")


@states("E2", "the drift is right up to O((ηλ√v)⁴) for any noise", size=powers(-2, -1.2))
def drift_of_skewed_noise(subject, trial, size):
    noise, warp = NOISES["skewed"], Warp(UniformGrid(1.0), strength=1.0)
    after = subject.psgd_step(np.full(2, 0.1), size * noise.values, 1.0, warp)
    moved = noise.chances @ np.log(np.abs(after / 0.1))
    trial.within(moved - subject.formulas.log_distance_drift(1.0, 1.0, size**2), 3 * size**4, "drift of ln d")


@states("E2", "noise always draws weights to targets", size=st.floats(0.5, 1.9))
def noise_always_attracts(subject, trial, size):
    warp = Warp(UniformGrid(1.0), strength=1.0)
    after = subject.psgd_step(np.full(2, 0.01), np.array([-size, size]), 1.0, warp)
    trial.true(np.log(np.abs(after / 0.01)).mean() < 0, "ln d falls on average")


@states("E4", "the rest is the soft threshold from every start", w0=st.floats(-1, 1), c=_sides)
def soft_threshold_from_every_start(subject, trial, w0, c):
    warp, w = Warp(Zero(), strength=2.0), np.array([w0])
    for _ in range(500):
        w = subject.decayed(w, w - c, 0.1, warp, 0.3)
    trial.within(w - subject.formulas.soft_threshold(c, 0.15), 0.01, "w rests at the soft threshold")


@states("E4", "decay holds weights next to their target whatever the gradient", g=st.floats(-0.5, 0.5))
def decay_holds_under_every_gradient(subject, trial, g):
    warp, w = Warp(UniformGrid(1.0, 3)), np.array([2.9])
    for _ in range(300):
        w = subject.decayed(w, np.array([g]), 0.2, warp, 0.1)
    trial.true((w > 2.5) & (w <= 3 + 1e-9), "w rests in the cell of its target, on the zero side")


@states("E4", "with ε a weight rests at d = max(0, …)", eps=powers(-2, 0), share=st.floats(0.1, 3))
def rest_with_eps(subject, trial, eps, share):
    decay, warp, w = share * eps, Warp(UniformGrid(1.0), eps), np.array([0.9])
    for _ in range(400):
        w = subject.decayed(w, np.array([-1.0]), 0.1, warp, decay)
    trial.within(1 - w - max(0.0, (decay - eps) / (1 + decay)), 1e-3, "d = max(0, (κ|w̄| − λε|g|)/(λ|g| + κ))")


# F. Sharpness


@states("F1", "H_Y is the Hessian of L ∘ F⁻¹ on cell walls, too", share=shares, g=st.floats(0.5, 2))
def hessian_on_walls(subject, trial, share, g):
    warp, w, h = Warp(UniformGrid(1.0), 0.1), np.array([share]), 1e-4
    y = warp(w)
    sides = [g * (w - 2 * warp.inverse(y + k * h) + warp.inverse(y + 2 * k * h)) / h**2 for k in (-1, 1)]
    found = subject.formulas.warped_hessian([[0.0]], [g], w, warp)[0]
    trial.within(np.array(sides).ravel() - found, 1e-3, "second differences from either side")


@states("F2", "a critical point is stable iff ηλ_max(H_Y) < 2", a=st.floats(-1, 1), b=st.floats(0.1, 1))
def saddles_are_stable(subject, trial, a, b):
    warp, best, hessian = Warp(UniformGrid(1.0), strength=1.0), np.full(2, 0.2), np.diag([a, b])
    w = best + 1e-8
    for _ in range(100):
        w = subject.psgd_step(w, hessian @ (w - best), 0.5, warp)
    trial.true(np.abs(w - best).max() <= 1.01e-8, "the distance does not grow")


@states("F2", "I − ηSH is similar to I − ηH_Y for every s ≥ 0", offset=st.floats(0, 0.4))
def similar_on_targets(subject, trial, offset):
    warp, w, h = Warp(UniformGrid(1.0)), np.array([0.0, offset]), np.array([[0.0, 1.0], [1.0, 0.0]])
    matrix = subject.formulas.psgd_linearisation(h, w, 1.0, warp) - np.eye(2)
    warped = subject.formulas.warped_hessian(h, np.zeros(2), w, warp)
    trial.true(
        np.linalg.matrix_rank(matrix) == np.linalg.matrix_rank(warped), "similar matrices have one rank"
    )


# H. Quantizers


@states(
    "H2", "ACIQ's clip minimises the squared error of rounding a Laplace variable", bits=st.integers(1, 4)
)
def aciq_is_optimal(subject, trial, bits):
    from scipy.special import lambertw

    w = float(lambertw(3 * 4.0**bits).real)
    best = minimize_scalar(lambda a: _true_error(a, bits), bounds=(w / 2, 2 * w), method="bounded").x
    trial.within(w / best - 1, 0.01, "W(3·4^M) is the best clip")


@states("H1", "every symmetric set has an odd quantizer", w=st.floats(-2, 2))
def odd_without_zero(subject, trial, w):
    targets = FiniteTargets(np.array([-1.0, 1.0]))
    w = np.array([w])
    trial.within(subject.nearest(-w, targets) + subject.nearest(w, targets), 0.0, "Q(−w) = −Q(w)")
