"""Chapter D, third part: what keeps the barrier, and what breaks it."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core.arguments import Array
from psgd_ref.core.dynamics.averaging import Moments
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.following import max_range_grid
from psgd_ref.laws.drawing.losses import Logistic, Quadratic
from psgd_ref.laws.drawing.strategies import Placed, Setting, placed, powers, seeds, setups, target_sets
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

# |Adam's direction| ≤ (1 − β₁)/√((1 − β₂)(1 − β₁²/β₂)) = 7.27 for the usual β, by Cauchy and Schwarz.
LONGEST = 7.3
_several = target_sets(several=True)
_anywhere = placed(setups(eps="zero"))
_one = placed(setups(_several, eps="zero", cap=False), size=1, beyond=0.0)
_inside = placed(setups(_several, eps="zero", cap=False), beyond=0.0)


def _leaves(trial: Trial, w: Array, box: tuple[Array, Array], setting: Setting) -> None:
    low, high = box
    error = 8 * rounding.UNIT * np.abs(w) + rounding.TINY
    trial.at_most(
        np.maximum(low - w, w - high) / setting.unit, 0.0, error / setting.unit, "w stays in its box"
    )


ORDER = claim(
    "D8",
    "The barrier and the order of averaging",
    "at ε = 0 on a fixed grid no weight leaves its inter-target interval under w⁺ = w − ηs ⊙ u while "
    "ηλ|u_i| < 1, whatever u is: momentum's average, Adam's direction, noise; with the scale before the "
    "average weights do leave it, and before Adam (ε_A = 0, λ constant) the run is the same for every λ > "
    "0",
    tests=("psgd_step", "momentum_step", "adam_step", "formulas.target_interval"),
)


@ORDER.holds(at=_anywhere, m=st.sampled_from([0.0, 0.5, 0.9, 0.99]), seed=seeds, steps=st.integers(1, 8))
def momentum_after(subject: Subject, trial: Trial, at: Placed, m: float, seed: int, steps: int) -> None:
    """Both averages behind which the scale stands, at the limit of ηλ|u|; and before which it stands."""
    setting, w, rng = at.setting, at.w, np.random.default_rng(seed)
    box = subject.formulas.target_interval(w, setting.targets)
    limit = 0.999 / setting.strength
    velocity: Array = limit * rng.choice([-1.0, 1.0, 0.0], w.shape)  # as earlier steps may have left it
    for _ in range(steps):
        g = (1 - m) * limit * rng.choice([-1.0, 1.0, rng.uniform(-1, 1)], w.shape)
        w, velocity = subject.averaged(w, velocity, g, 1.0, setting.warp, m, "after")
        _leaves(trial, w, box, setting)


@ORDER.holds(cost=2, at=_anywhere, seed=seeds, steps=st.integers(1, 8))
def adam_after(subject: Subject, trial: Trial, at: Placed, seed: int, steps: int) -> None:
    """Behind Adam's direction, at the longest step that it can take."""
    setting, w, rng = at.setting, at.w, np.random.default_rng(seed)
    box = subject.formulas.target_interval(w, setting.targets)
    moments = Moments(np.zeros_like(w), np.zeros_like(w))
    for _ in range(steps):
        g = 10.0 ** rng.uniform(-2, 1) * rng.choice([-1.0, 1.0], w.shape) / setting.strength
        lr = 0.999 / (LONGEST * setting.strength)
        w, moments = subject.adapted(w, moments, g, lr, setting.warp, "after")
        _leaves(trial, w, box, setting)


@ORDER.refutes(at=_one)
def momentum_before(subject: Subject, trial: Trial, at: Placed) -> None:
    """With the scale before momentum, too, no weight leaves."""
    setting, w, velocity = at.setting, at.w, np.zeros_like(at.w)
    box = subject.formulas.target_interval(w, setting.targets)
    for _ in range(12):
        g = np.full_like(w, 0.09 / setting.strength)  # the average stays below 0.9/λ
        w, velocity = subject.averaged(w, velocity, g, 1.0, setting.warp, 0.9, "before")
        _leaves(trial, w, box, setting)


@ORDER.refutes(at=_one)
def adam_before(subject: Subject, trial: Trial, at: Placed) -> None:
    """With the scale before Adam, too, no weight leaves."""
    setting, w = at.setting, at.w
    box = subject.formulas.target_interval(w, setting.targets)
    moments = Moments(np.zeros_like(w), np.zeros_like(w))
    for _ in range(20):
        g = np.full_like(w, 1 / setting.strength)
        lr = 0.999 / (LONGEST * setting.strength)
        w, moments = subject.adapted(w, moments, g, lr, setting.warp, "before")
        _leaves(trial, w, box, setting)


@ORDER.holds(cost=3, at=_inside, seed=seeds, a=powers(-3, 3))
def adam_divides_it_out(subject: Subject, trial: Trial, at: Placed, seed: int, a: float) -> None:
    """Before Adam two strengths give the same run, up to rounding."""
    setting, rng = at.setting, np.random.default_rng(seed)
    # Off targets and walls, so that no rounding of d decides; rates so small that w stays there.
    w0: Array = setting.targets.nearest(at.w) + 0.2 * setting.unit * rng.choice([-1.0, 1.0], at.w.shape)
    lr = 1e-4 * setting.unit
    size = 1e-3 / (min(a, 1.0) * setting.strength * lr)
    gradients = size * rng.uniform(0.5, 2, (4, *w0.shape)) * rng.choice([-1.0, 1.0], (4, *w0.shape))
    ends = []
    for strength in (setting.strength, a * setting.strength):
        warp = Setting(setting.targets, 0.0, strength).warp
        moments = Moments(np.zeros_like(w0), np.zeros_like(w0))
        w = w0
        for g in gradients:
            w, moments = subject.adapted(w, moments, g, lr, warp, "before")
        ends.append(w)
    # What rounding of w leaves of a scaled gradient that moves w by 10⁻⁴ gaps.
    d = np.minimum(0.2 * setting.unit, np.abs(w0 - setting.targets.nearest(w0)))
    share = 256 * rounding.UNIT * (np.abs(w0) + setting.unit) / (1e-3 * d)
    error = 4 * LONGEST * lr * share + 64 * rounding.UNIT * np.abs(w0)
    trial.within(ends[1] - ends[0], error, "before Adam λ has no effect")


_numbers: dict[str, Any] = {
    "seed": seeds,
    "n": st.integers(1, 6),
    "levels": st.sampled_from([1, 3, 7, 127]),
    "unit": powers(-4, 4),
    "per_gap": powers(-2, 2),
}


def _start(seed: int, n: int, unit: float) -> tuple[Array, np.random.Generator]:
    """Weights below `unit` but for one of that size."""
    rng = np.random.default_rng(seed)
    w = unit * rng.uniform(-0.9, 0.9, n)
    w[rng.integers(n)] = unit * rng.choice([-1.0, 1.0])
    return w, rng


def _following(w: Array, levels: int, per_gap: float, eps: float = 0.0) -> Setting:
    """The setting of the moment: the grid that the largest weight gives."""
    grid = max_range_grid(w, levels)
    return Setting(grid, eps * grid.step, per_gap / grid.step)


def _stands(trial: Trial, w: Array, unit: float) -> None:
    trial.within(np.abs(w).max() / unit - 1, 32 * rounding.UNIT, "the largest weight, and Δ, stand still")


MOVING_GRID = claim(
    "D9",
    "The grid that follows the largest weight",
    "with Δ = max|w|/L fitted anew at every step, ε = 0, no decay and w⁺ = w − ηs ⊙ u, ηλ|u_i| < 1 (u a "
    "gradient, noisy or not, or its momentum average), Δ never changes, so that D6 and D8 hold on it; "
    "unscaled decay makes it (1−ηκ)^k Δ₀ while no other weight becomes the largest; ε > 0, or momentum of "
    "the scaled gradient, moves it",
    tests=("psgd_step", "decayed_step", "momentum_step"),
)


@MOVING_GRID.holds(m=st.sampled_from([0.0, 0.9]), **_numbers)
def still(
    subject: Subject, trial: Trial, seed: int, n: int, levels: int, unit: float, per_gap: float, m: float
) -> None:
    """Runs on the grid of the moment, under gradients at the limit; the two that move it are found."""
    w, rng = _start(seed, n, unit)
    first = _following(w, levels, per_gap)
    low, high = subject.formulas.target_interval(w, first.targets)
    # As earlier steps may have left it.
    velocity: Array = 0.999 / first.strength * rng.choice([-1.0, 1.0, 0.0], n) * (m > 0)
    for _ in range(6):
        setting = _following(w, levels, per_gap)
        g = (1 - m) * 0.999 / setting.strength * rng.choice([-1.0, 1.0, rng.uniform(-1, 1)], n)
        w, velocity = subject.averaged(w, velocity, g, 1.0, setting.warp, m, "after")
        _stands(trial, w, unit)
        outside = np.maximum(low - w, w - high)
        trial.at_most(outside / unit, 0.0, 32 * rounding.UNIT, "no weight leaves its interval")


@MOVING_GRID.holds(shrink=powers(-4, -0.5), **_numbers)
def decay(
    subject: Subject, trial: Trial, seed: int, n: int, levels: int, unit: float, per_gap: float, shrink: float
) -> None:
    """Under unscaled decay the largest weight, and so Δ, shrinks by the same factor at every step."""
    w, rng = _start(seed, n, unit)
    largest = int(np.abs(w).argmax())
    for k in range(1, 7):
        setting = _following(w, levels, per_gap)
        g = 0.5 / setting.strength * rng.uniform(-1, 1, n)
        w = subject.decayed(w, g, 1.0, setting.warp, shrink)
        if int(np.abs(w).argmax()) != largest:
            break
        ratio = np.abs(w).max() / unit / (1 - shrink) ** k
        trial.within(ratio - 1, 64 * rounding.UNIT, "unscaled decay makes it (1−ηκ)^k Δ₀")


@MOVING_GRID.refutes(**_numbers)
def with_eps(
    subject: Subject, trial: Trial, seed: int, n: int, levels: int, unit: float, per_gap: float
) -> None:
    """With ε > 0, too, the grid stands still."""
    w, _ = _start(seed, n, unit)
    setting = _following(w, levels, per_gap, eps=0.1)
    _stands(trial, subject.psgd_step(w, np.full(n, 0.5 / setting.strength), 1.0, setting.warp), unit)


@MOVING_GRID.refutes(**_numbers)
def with_momentum_of_scaled(
    subject: Subject, trial: Trial, seed: int, n: int, levels: int, unit: float, per_gap: float
) -> None:
    """With momentum of the scaled gradient, too, the grid stands still."""
    w, rng = _start(seed, n, unit)
    velocity: Array = np.zeros(n)
    for _ in range(12):
        setting = _following(w, levels, per_gap)
        g = np.full(n, -0.09 / setting.strength) * rng.choice([-1.0, 1.0], n)
        w, velocity = subject.averaged(w, velocity, g, 1.0, setting.warp, 0.9, "before")
        _stands(trial, w, unit)


PENALISED_DESCENT = claim(
    "D10",
    "Descent and barrier with decay to the grid",
    "at ε = 0, for weights within the range, L β-smooth, ηβS ≤ 1 and η(κ + λ|g_i|) ≤ 1 for all i, decay to "
    "the grid makes L̃ = L + (κ/λ)‖w − w̄‖₁ fall: L̃(w⁺) ≤ L̃(w) − (η/2)‖∇L̃‖²_s, across cell walls too, "
    "and no weight leaves its inter-target interval; a step that crosses a target (ηκ > 2) can raise L̃",
    tests=("psgd_step", "grid_decayed_step", "formulas.grid_decay_penalty", "formulas.grid_decay_slope"),
)


@PENALISED_DESCENT.holds(
    at=_inside,
    seed=seeds,
    kind=st.sampled_from(["quadratic", "logistic", "flat"]),
    pull=powers(-2, 2),
    share=st.one_of(st.just(1.0), st.floats(0.05, 1)),
)
def falls(
    subject: Subject, trial: Trial, at: Placed, seed: int, kind: str, pull: float, share: float
) -> None:
    """Steps as long as is allowed, from targets, walls and between; and one too long."""
    setting, w, formulas = at.setting, at.w, subject.formulas
    warp, n = setting.warp, at.w.size
    size = float(np.abs(w).max()) + setting.unit
    loss = Logistic(seed, n, size) if kind == "logistic" else Quadratic(seed, n, size)
    on = 0.0 if kind == "flat" else 1.0
    g, beta = on * loss.gradient(w), on * loss.smoothness
    slopes = setting.strength * np.abs(g).max()
    decay = pull * max(slopes, setting.strength * beta * setting.widest, 1e-3)
    top = formulas.largest_scale(setting.widest, 0.0, setting.strength)
    lr = share / max(beta * top, decay + slopes)
    after = subject.decayed_to_grid(w, g, lr, warp, decay)

    def whole(w: Array) -> float:
        return on * loss.value(w) + float(formulas.grid_decay_penalty(w, warp, decay).sum())

    slope = g + formulas.grid_decay_slope(w, warp, decay)
    promised = formulas.descent_bound(slope, warp.scale(w), lr)
    noise = on * loss.value(w) + decay / setting.strength * float(np.abs(w).sum() + setting.unit)
    noise += float(np.abs(g) @ (np.abs(w) + np.abs(after)))
    fall = whole(w) - whole(after)
    trial.at_most(promised, fall, 1e-13 * noise, "L̃ falls by (η/2)‖∇L̃‖²_s or more")
    low, high = formulas.target_interval(w, setting.targets)
    error = 16 * rounding.UNIT * (np.abs(w) + setting.unit) / setting.unit
    outside = np.maximum(low - after, after - high) / setting.unit
    trial.at_most(outside, 0.0, error, "no weight leaves its inter-target interval")


@PENALISED_DESCENT.refutes(at=_one, long=st.floats(2.1, 4))
def too_long(subject: Subject, trial: Trial, at: Placed, long: float) -> None:
    """L̃ falls under steps with ηκ > 2, too."""
    setting, w = at.setting, at.w
    after = subject.decayed_to_grid(w, 0 * w, 1.0, setting.warp, long)
    penalty = subject.formulas.grid_decay_penalty
    rise = penalty(after, setting.warp, long).sum() - penalty(w, setting.warp, long).sum()
    size = long / setting.strength * (np.abs(w).sum() + setting.unit)
    trial.at_most(rise / size, 0.0, 1e-13, "L̃ does not rise")
