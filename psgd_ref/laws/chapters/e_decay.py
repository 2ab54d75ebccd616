"""Chapter E, fourth claim: what weight decay outside the scaling does."""

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from psgd_ref.core import UniformGrid, Zero
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.losses import Quadratic
from psgd_ref.laws.drawing.strategies import Push, Setting, powers, pushes, seeds, setups
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

WEIGHT_DECAY = claim(
    "E4",
    "Weight decay",
    "with T = {0}, ε = 0, unscaled decay κ is the gradient of (κ/λ)‖w‖₁, so PSGD solves the LASSO over the "
    "orthant of w₀: on ½h(w−c)² a weight w₀ ≠ 0 on c's side of 0 rests at the soft threshold, another at "
    "0; on a grid, under a gradient that pushes away from zero, weights rest d = (κ|w̄| − λε|g|)/(λ|g| + "
    "κ) off nonzero targets, on the zero side, if 0 ≤ d ≤ Δ/2: d = κ|w|/(λ|g|) at ε = 0; else decay "
    "carries them over the wall, or (d < 0) the gradient off the target outwards",
    tests=("psgd_step", "decayed_step", "formulas.soft_threshold", "formulas.decay_equilibrium"),
)


@WEIGHT_DECAY.holds(push=pushes(setups(st.just(Zero()), eps="zero")), share=st.floats(0, 2))
def is_a_gradient(subject: Subject, trial: Trial, push: Push, share: float) -> None:
    """At zero a step with decay κ is the step with the gradient g + (κ/λ) sign w, for any weights."""
    w, g, lr, warp = push.w, push.g, push.lr, push.setting.warp
    decay = share / lr
    there = subject.psgd_step(w, g + decay / warp.strength * np.sign(w), lr, warp)
    error = 64 * rounding.UNIT * (1 + np.abs(push.t) + share) * np.abs(w) + rounding.TINY
    gap = subject.decayed(w, g, lr, warp, decay) - there
    trial.within(gap, error, "decay is the gradient of (κ/λ)‖w‖₁")


@WEIGHT_DECAY.holds(cost=10, h=powers(-2, 2), strength=powers(-2, 2), size=powers(-2, 2), seed=seeds)
def lasso(subject: Subject, trial: Trial, h: float, strength: float, size: float, seed: int) -> None:
    """Run to rest on a quadratic, from c's side of zero and from the other."""
    threshold, setting = size, Setting(Zero(), 0.0, strength)
    decay = threshold * strength * h
    # At |c| = threshold convergence is slower than geometric: stay 30 % away on both sides.
    rng = np.random.default_rng(seed)
    c = (
        threshold
        * np.concatenate([rng.uniform(0.2, 0.7, 4), rng.uniform(1.3, 4, 4)])
        * rng.choice([-1, 1], 8)
    )
    lr = 0.4 / (strength * h * np.abs(c).max() * 2 + decay)
    same = np.tile([True, True, True, False], 2)
    w = c * rng.uniform(0.3, 1, 8) * np.where(same, 1, -1)
    for _ in range(700):
        w = subject.decayed(w, h * (w - c), lr, setting.warp, decay)
    expected = subject.formulas.soft_threshold(c, decay / (strength * h))
    rest = np.where(same, expected, 0.0)
    trial.within(
        w - rest, 5e-3 * np.abs(c), "the fixed point is the soft threshold, or 0 from the other side"
    )
    still = subject.decayed(expected, h * (expected - c), lr, setting.warp, decay)
    trial.within(still - expected, 1e-13 * np.abs(c), "the soft threshold is fixed")


@WEIGHT_DECAY.holds(cost=10, seed=seeds, n=st.integers(2, 5), share=powers(-1, 1))
def orthant(subject: Subject, trial: Trial, seed: int, n: int, share: float) -> None:
    """Several weights: the loss with (κ/λ)‖w‖₁ falls to its least over w₀'s orthant, by another solver."""
    rng, loss = np.random.default_rng(seed), Quadratic(seed, n, spread=1.0)
    h, c, _ = loss.parts
    w0 = rng.uniform(0.2, 2.0, n) * rng.choice([-1.0, 1.0], n)
    side, setting = np.sign(w0), Setting(Zero(), 0.0, 2.0)
    slope = share * float(np.abs(h @ c).max())
    root = np.linalg.cholesky(h).T
    low, high = np.where(side > 0, 0.0, -np.inf), np.where(side > 0, np.inf, 0.0)
    shifted = np.linalg.solve(root.T, h @ c - slope * side)
    best = lsq_linear(root, shifted, bounds=(low, high), method="bvls").x.clip(low, high)

    def value(w: Array) -> float:
        return loss.value(w) + slope * float(side @ w)

    radius = float(np.linalg.norm(w0 - c)) * np.sqrt(loss.parts[2][-1] / loss.parts[2][0])
    reach = loss.smoothness * radius + slope
    lr = 0.1 / (setting.strength * (reach + loss.smoothness * (radius + float(np.abs(c).max()))))
    w, steps = w0, 400
    for _ in range(steps):
        w = subject.decayed(w, loss.gradient(w), lr, setting.warp, slope * setting.strength)
    divergence = subject.formulas.mirror_divergence(best, w0, setting.targets, setting.strength)
    bound = 1.1 * divergence / (lr * steps)
    noise = 1e-9 * (abs(value(w0)) + 1)
    trial.at_most(value(w) - value(best), bound, noise, "decay solves the LASSO over the orthant of w₀")
    trial.at_most(value(best) - value(w), 0.0, noise, "nothing in the orthant is better")


@WEIGHT_DECAY.holds(
    cost=10,
    step=powers(-2, 2),
    strength=powers(-2, 2),
    eps=st.one_of(st.just(0.0), powers(-3, 0)),
    k=st.integers(1, 7),
    share=st.floats(0.0, 0.49),
    up=st.booleans(),
)
def shoulder(
    subject: Subject,
    trial: Trial,
    step: float,
    strength: float,
    eps: float,
    k: int,
    share: float,
    up: bool,
) -> None:
    """A constant push at a target, with ε and without: where weights rest."""
    setting = Setting(UniformGrid(step), eps * step, strength / step)
    side = 1.0 if up else -1.0
    # At share 0 with ε the gradient balances the decay on the target itself, and rounding decides.
    share = max(share, 1e-6) if eps else share
    target, push = side * k * step, 0.5 + share
    # κ for which the equilibrium lies at that fraction of the gap: κ(k − share) = λ(share + ε)|g|.
    decay = (share + eps) / (k - share) * setting.strength * push
    lr = 0.2 / (setting.strength * push + decay)
    w = np.array([target - side * 0.2 * step])
    for _ in range(400):
        w = subject.decayed(w, np.full_like(w, -side * push), lr, setting.warp, decay)
    d = subject.formulas.decay_equilibrium(target, -side * push, setting.strength, decay, setting.eps)
    trial.within(d - share * step, 1e-9 * step, "d = (κ|w̄| − λε|g|)/(λ|g| + κ)")
    trial.within((target - w) * side - d, 1e-6 * step, "weights rest on the zero side of a target")
    balance = decay * np.abs(w) / (setting.strength * push) - setting.eps
    trial.within(d - balance, 1e-6 * step, "λ(d + ε)|g| = κ|w|")


@WEIGHT_DECAY.holds(
    cost=10, eps=powers(-2, 0), share=st.floats(0.1, 0.9), k=st.integers(1, 3), up=st.booleans()
)
def leaves(subject: Subject, trial: Trial, eps: float, share: float, k: int, up: bool) -> None:
    """Where the gradient outweighs the decay on the target, λε|g| > κ|w̄|, there is no such rest: refused."""
    setting, side = Setting(UniformGrid(1.0), eps, 1.0), 1.0 if up else -1.0
    decay, target, w = share * eps / k, side * k, np.array([side * k * 1.0])
    try:
        d = subject.formulas.decay_equilibrium(target, -side, 1.0, decay, eps)
    except ValueError:
        d = None
    trial.true(d is None, "a weight that leaves its target outwards has no rest on the zero side")
    w = subject.decayed(w, np.full_like(w, -side), 0.1, setting.warp, decay)
    trial.true((w - target) * side > 0, "it leaves its target outwards")
