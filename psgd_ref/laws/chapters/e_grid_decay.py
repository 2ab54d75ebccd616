"""Chapter E, second part: weight decay to the grid."""

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import Targets, UniformGrid, Zero
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.losses import Logistic, Quadratic
from psgd_ref.laws.drawing.strategies import (
    Placed,
    Push,
    Setting,
    placed,
    powers,
    pushes,
    seeds,
    setups,
    uniform_grids,
)
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)


GRID_DECAY = claim(
    "E5",
    "Decay to the grid",
    "u = s ⊙ g + κ(w − w̄) is s ⊙ ∇(L + ΣP) with P = (κ/λ)(d − ε ln(1 + d/ε)), at ε = 0 the W-shaped "
    "(κ/λ)d, and beyond a cap at d = r P(r) + κ(d² − r²)/2S; at ε = 0 a target under a constant "
    "gradient g is stable iff |g| < κ/λ and (b ≥ 0 or ab < 1), a = 1−η(κ+λ|g|), b = 1−η(κ−λ|g|), and a "
    "weight off its target rests iff g = −(κ/λ)σ; for ε > 0 and λ|g|(h+ε) < κh, h = Δ/2, it rests at d = "
    "ελ|g|/(κ−λ|g|)",
    source="ours; the penalty is that of Bai et al. 2019",
    tests=(
        "psgd_step",
        "grid_decayed_step",
        "formulas.grid_decay_penalty",
        "formulas.grid_decay_slope",
        "formulas.hold_factor",
        "formulas.hold_distance",
    ),
)


@GRID_DECAY.holds(push=pushes(setups()), pull=st.floats(0, 2))
def penalised(subject: Subject, trial: Trial, push: Push, pull: float) -> None:
    """The step against PSGD on the penalised loss, its jump at walls, and where it holds a weight."""
    w, g, lr, warp = push.w, push.g, push.lr, push.setting.warp
    decay = pull / lr
    slope = subject.formulas.grid_decay_slope(w, warp, decay)
    there = subject.psgd_step(w, g + slope, lr, warp)
    d = np.abs(w - push.setting.targets.nearest(w))
    error = rounding.in_step(warp, w, g, lr) + rounding.in_step(warp, w, slope, lr)
    error = error + 16 * rounding.UNIT * pull * (np.abs(w) + d)
    found = subject.decayed_to_grid(w, g, lr, warp, decay)
    trial.within(found - there, error, "decay to the grid is PSGD on the penalised loss")


@GRID_DECAY.holds(cost=2, at=placed(setups()), decay=powers(-2, 2))
def slope_of_penalty(subject: Subject, trial: Trial, at: Placed, decay: float) -> None:
    """The penalty rises by the integral of the slope that is given for it."""
    warp, nearest = at.setting.warp, at.setting.targets.nearest(at.w)
    d = np.abs(at.w - nearest)
    side, unit = np.where(at.w >= nearest, 1.0, -1.0), at.setting.unit
    # From 0.8d to d there is no kink unless the cap's edge is there; too near a target d is rounding.
    position = at.setting.targets.position(at.w)
    edge = warp.reach(position, at.w - nearest)
    clear = (d > 1e-6 * (np.abs(nearest) + 1e-9 * unit)) & ~((0.8 * d < edge) & (edge < d))
    near, far = nearest + 0.8 * d * side, at.w
    middle, half = (near + far) / 2, (far - near) / 2
    mesh = middle[:, None] + half[:, None] * _NODES
    area = (
        subject.formulas.grid_decay_slope(mesh.ravel(), warp, decay).reshape(mesh.shape) @ _WEIGHTS
    ) * half
    rise = subject.formulas.grid_decay_penalty(far, warp, decay) - subject.formulas.grid_decay_penalty(
        near, warp, decay
    )
    error = 1e-8 * np.abs(area) + 1e-13 * decay / warp.strength * d
    trial.within(np.where(clear, rise - area, 0.0), error, "P rises by the integral of its slope")


@GRID_DECAY.holds(
    cost=3, grid=uniform_grids(lattice=True), k=st.integers(-8, 7), decay=powers(-2, 0), eps=powers(-3, 0)
)
def walls(subject: Subject, trial: Trial, grid: UniformGrid, k: int, decay: float, eps: float) -> None:
    """At a wall u jumps by κΔ."""
    wall, near = (k + 0.5) * grid.step, 1e-9 * grid.step
    warp = Setting(grid, eps * grid.step, 1 / grid.step).warp
    after = subject.decayed_to_grid(np.array([wall - near, wall + near]), np.zeros(2), 1.0, warp, decay)
    jump = after[1] - after[0]
    trial.within(jump - decay * grid.step, 4e-9 * grid.step, "at a wall u jumps by κΔ")


@GRID_DECAY.holds(
    cost=2,
    targets=st.one_of(uniform_grids(), st.just(Zero())),
    per_gap=powers(-2, 2),
    pull=st.floats(0.01, 4),
    ratio=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 2)),
    up=st.booleans(),
)
def holds(
    subject: Subject, trial: Trial, targets: Targets, per_gap: float, pull: float, ratio: float, up: bool
) -> None:
    """What d is multiplied by in the end, and when that is below 1, for any pull and decay."""
    unit = Setting(targets, 0.0, 1.0).unit
    setting = Setting(targets, 0.0, per_gap / unit)
    g = (1 if up else -1) * ratio * pull / setting.strength
    found = max(_factor(subject, setting, g, pull, side, 2.0**-20 * unit) for side in (-1.0, 1.0))
    expected = subject.formulas.hold_factor(g, 1.0, setting.strength, pull)
    trial.within(found - expected, 1e-9 * (1 + expected), "in the end d is multiplied by b, or by √(ab)")
    a, b = 1 - pull * (1 + ratio), 1 - pull * (1 - ratio)
    if abs(expected - 1) > 1e-9:
        stable = ratio < 1 and (b >= 0 or a * b < 1)
        trial.true((found < 1) == stable, "stable iff |g| < κ/λ and (b ≥ 0 or ab < 1)")


@GRID_DECAY.holds(cost=2, at=placed(setups(eps="zero", cap=False)), pull=st.floats(0.01, 2))
def off_targets(subject: Subject, trial: Trial, at: Placed, pull: float) -> None:
    """Off targets a weight rests where g = −(κ/λ)σ."""
    w, setting = at.w, at.setting
    g = -pull / setting.strength * np.sign(w - setting.targets.nearest(w))
    still = subject.decayed_to_grid(w, g, 1.0, setting.warp, pull) - w
    error = rounding.in_step(setting.warp, w, g, 1.0)
    trial.within(still, error, "off targets g = −(κ/λ)σ is rest")


@GRID_DECAY.holds(
    cost=2,
    step=powers(-3, 3),
    k=st.integers(-3, 3),
    eps=powers(-4, 0),
    share=st.floats(0, 0.95),
    pull=st.floats(0.01, 1),
    up=st.booleans(),
)
def rest(
    subject: Subject, trial: Trial, step: float, k: int, eps: float, share: float, pull: float, up: bool
) -> None:
    """With ε a weight rests where the formula says, and near it comes nearer by b a step."""
    setting = Setting(UniformGrid(step), eps * step, 1 / step)
    side = 1.0 if up else -1.0
    push = share * pull * 0.5 / (0.5 + eps)  # λ|g| as a fraction of κh/(h + ε)
    d = subject.formulas.hold_distance(-side * push * step, setting.eps, 1 / step, pull)
    trial.at_most(d, share * step / 2, 1e-12 * step, "d is less than half the gap")
    w = k * step + side * d * np.array([1.0, 0.5])
    after = subject.decayed_to_grid(w, np.full(2, -side * push * step), 1.0, setting.warp, pull)
    error = 64 * rounding.UNIT * (1 + abs(k) + pull) * step
    trial.within(after[0] - w[0], error, "the weight rests there")
    trial.within((after[1] - w[0]) - (1 - pull + push) * (w[1] - w[0]), error, "and comes nearer by b")


def _factor(subject: Subject, setting: Setting, g: float, decay: float, side: float, d: float) -> float:
    """By what d is multiplied in one step, in the end: the mean of eight steps, after four.

    On each side the step is linear, so that only the side is kept from one step to the next.
    """
    logs, at = [], side
    for _ in range(12):
        w = np.array([at * d])
        after = float(subject.decayed_to_grid(w, np.array([g]), 1.0, setting.warp, decay)[0])
        if abs(after) < 1e-12 * d:
            return 0.0
        logs.append(np.log(abs(after) / d))
        at = np.sign(after)
    return float(np.exp(np.mean(logs[4:])))


GATHERING = claim(
    "E6",
    "How fast decay to the grid gathers",
    "at ε = 0 on a uniform grid, within its range and with ηκ ≤ 1, if |g_i| ≤ G < κ/λ at every step, noise "
    "included, no weight leaves its cell and d_K ≤ (1−η(κ−λG))^K d_0; for L β-smooth and |g_i(w)| ≤ G "
    "rounding costs at most G‖q‖₁ + (β/2)‖q‖², q = w̄ − w; noise alone gathers weight i at the rate "
    "η²λ²v_i/2 of its own variance (E2), which sets the speed and not the end (E1)",
    tests=(
        "psgd_step",
        "grid_decayed_step",
        "formulas.gathering_factor",
        "formulas.rounding_bound",
        "formulas.log_distance_drift",
    ),
)


@GATHERING.holds(
    at=placed(setups(uniform_grids(), eps="zero", cap=None), beyond=0.0),
    pull=st.one_of(st.just(1.0), st.floats(0.01, 1)),
    share=st.one_of(st.just(0.0), st.floats(0, 0.99)),
    worst=st.booleans(),
    seed=seeds,
)
def geometric(
    subject: Subject, trial: Trial, at: Placed, pull: float, share: float, worst: bool, seed: int
) -> None:
    """Runs under the worst gradients allowed and under random ones, from anywhere in the range."""
    setting, w, rng = at.setting, at.w, np.random.default_rng(seed)
    most = share * pull / setting.strength
    factor = subject.formulas.gathering_factor(most, 1.0, setting.strength, pull)
    home = setting.targets.nearest(w)
    first = np.abs(w - home)
    noise = 32 * rounding.UNIT * (np.abs(w) + setting.unit) + rounding.TINY
    for k in range(1, 9):
        away = -np.sign(w - home) if worst else rng.choice([-1.0, 1.0, rng.uniform(-1, 1)], w.shape)
        w = subject.decayed_to_grid(w, most * away, 1.0, setting.warp, pull)
        bound = factor**k * first
        d = np.abs(w - home)
        trial.at_most(d / setting.unit, bound / setting.unit, noise / setting.unit, "d_K")


@GATHERING.holds(
    cost=3,
    step=powers(-2, 2),
    per_gap=powers(-2, 2),
    pull=st.floats(0.05, 1),
    share=st.floats(0.1, 0.95),
    place=st.floats(0.05, 0.45),
    k=st.integers(-3, 3),
    up=st.booleans(),
)
def attained(
    subject: Subject,
    trial: Trial,
    step: float,
    per_gap: float,
    pull: float,
    share: float,
    place: float,
    k: int,
    up: bool,
) -> None:
    """The bound is attained by a gradient that always pushes away."""
    setting, side = Setting(UniformGrid(step), 0.0, per_gap / step), 1.0 if up else -1.0
    most = share * pull / setting.strength
    factor = subject.formulas.gathering_factor(most, 1.0, setting.strength, pull)
    w = np.array([(k + side * place) * step])
    for count in range(1, 5):
        w = subject.decayed_to_grid(w, np.array([-side * most]), 1.0, setting.warp, pull)
        d = side * (w - k * step) / step
        trial.within(d - place * factor**count, 64 * rounding.UNIT * (1 + abs(k)), "d_K is the bound")


@GATHERING.holds(cost=2, seed=seeds, n=st.integers(1, 6), step=powers(-2, 2))
def rounding_costs(subject: Subject, trial: Trial, seed: int, n: int, step: float) -> None:
    """What rounding costs after such a run."""
    w = 3 * step * np.random.default_rng(seed).standard_normal(n)
    q = UniformGrid(step).nearest(w) - w
    for loss in (Quadratic(seed, n, step), Logistic(seed, n, step)):
        g = loss.gradient(w)
        bound = subject.formulas.rounding_bound(q, float(np.abs(g).max()), loss.smoothness)
        noise = 1e-13 * (loss.value(w) + np.abs(g).sum() * np.abs(w).max() + loss.smoothness * step**2)
        cost = loss.value(w + q) - loss.value(w)
        trial.at_most(cost, bound, noise, "rounding costs at most G‖q‖₁ + (β/2)‖q‖²")
    corner = subject.formulas.rounding_bound(np.array([-step]), 2.0, 3.0)
    trial.within(
        corner / (2 * step + 1.5 * step**2) - 1, 1e-12, "the bound itself: attained in one dimension"
    )


@GATHERING.holds(
    cost=2, step=powers(-3, 3), size=powers(-2.5, -1.5), ratio=st.floats(1, 4), share=st.floats(0.05, 0.3)
)
def own_variance(
    subject: Subject, trial: Trial, step: float, size: float, ratio: float, share: float
) -> None:
    """Each weight drifts at the rate of its own variance."""
    setting = Setting(UniformGrid(step), 0.0, 1 / step)
    deviations = size / setting.strength * np.array([1.0, ratio])
    w = np.array([share, -share]) * step
    moved: Array = np.zeros(2)
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        after = subject.psgd_step(w, deviations * np.array(signs), 1.0, setting.warp)
        moved = moved + np.log(np.abs(after / w)) / 4
    expected = [subject.formulas.log_distance_drift(1.0, setting.strength, v) for v in deviations**2]
    error = (ratio * size) ** 4 + 64 * rounding.UNIT / share
    trial.within(moved - np.array(expected), error, "each weight drifts at the rate of its own variance")
