"""Chapter I: weights under a batch norm, where the loss does not see the length of a filter."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import UniformGrid, Zero
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.following import max_range_grid
from psgd_ref.laws.drawing.strategies import Placed, Setting, placed, powers, seeds, setups, target_sets
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

_with_eps = placed(setups(target_sets(several=True), eps="positive"))
SIZES = (3, 5)


def filters(w: Array) -> list[Array]:
    """The filters that a drawn weight vector consists of, as views."""
    return np.split(w, np.cumsum(SIZES)[:-1])


def gradient(w: Array, batch: Array) -> Array:
    """∇ of Σ_f batch_f·w_f/‖w_f‖ + ½(Σ_f 1·w_f/‖w_f‖)²: a batch sees the filters' directions alone."""
    units = [f / np.linalg.norm(f) for f in filters(w)]
    pull = float(np.concatenate(units).sum())
    parts = []
    for f, unit, r in zip(filters(w), units, filters(batch), strict=True):
        slope = r + pull
        parts.append((slope - unit * (unit @ slope)) / np.linalg.norm(f))
    return np.concatenate(parts)


def lengths(w: Array) -> Array:
    """The L1 norm of every filter."""
    return np.array([np.abs(f).sum() for f in filters(w)])


_numbers: dict[str, Any] = {
    "seed": seeds,
    "unit": powers(-4, 4),
    "strength": powers(-2, 2),
    "share": st.one_of(st.just(1.0), st.floats(0.05, 1)),
}


def _start(seed: int, unit: float) -> tuple[np.random.Generator, Array]:
    rng = np.random.default_rng(seed)
    return rng, unit * rng.standard_normal(sum(SIZES)) * 10 ** rng.uniform(-1, 1)


def _kept(trial: Trial, w: Array, expected: Array, statement: str) -> None:
    trial.within(lengths(w) / expected - 1, 256 * rounding.UNIT, statement)


L1_NORM = claim(
    "I1",
    "Batch norm keeps the L1 norm",
    "with T = {0}, ε = 0, no cap, and every batch's loss invariant under w_f → a·w_f for a filter f (a "
    "batch norm behind it), PSGD steps with ηλ|g_i| ≤ 1 keep ‖w_f‖₁ exactly, with momentum of the scaled "
    "gradient while no sign changes; unscaled decay with ηκ + ηλ|g_i| ≤ 1 makes it (1−ηκ)‖w_f‖₁ for every "
    "filter alike, so that no gradient prunes a filter as a whole; warped and mirror steps make it grow; "
    "for ε > 0 and any targets the flow keeps Σ∫₀^{w_i} x/s(x) dx",
    tests=(
        "psgd_step",
        "decayed_step",
        "momentum_step",
        "warped_step",
        "mirror_step",
        "formulas.filter_invariant",
    ),
)


@L1_NORM.holds(cost=2, **_numbers)
def steps(subject: Subject, trial: Trial, seed: int, unit: float, strength: float, share: float) -> None:
    """Runs over random batches, at the limit ηλ|g| = 1, with momentum and with decay; other targets."""
    rng, w = _start(seed, unit)
    first, warp = lengths(w), Setting(Zero(), 0.0, strength).warp
    for _ in range(8):
        g = gradient(w, rng.standard_normal(w.size))
        lr = share / (strength * np.abs(g).max())
        warped, mirror = (one(w, g, lr, warp) for one in (subject.warped_step, subject.mirror_step))
        t = lr * strength * g * np.sign(w)
        more = np.array([np.sum(f) for f in filters(np.abs(w) * t**2 / 4)]) / lengths(w)
        growth = lengths(warped) / lengths(w) - 1
        trial.within(growth - more, 256 * rounding.UNIT, "a warped step makes it grow by Σ|w|t²/4")
        fall = 1 - lengths(mirror) / lengths(w)
        trial.at_most(fall, 0.0, 256 * rounding.UNIT, "a mirror step does not make it smaller")
        w = subject.psgd_step(w, g, lr, warp)
        _kept(trial, w, first, "PSGD keeps the L1 norm of every filter")


@L1_NORM.holds(cost=2, m=st.sampled_from([0.5, 0.9]), **_numbers)
def momentum(
    subject: Subject, trial: Trial, seed: int, unit: float, strength: float, share: float, m: float
) -> None:
    """With momentum of the scaled gradient, while no sign changes."""
    rng, w = _start(seed, unit)
    first, warp, velocity = lengths(w), Setting(Zero(), 0.0, strength).warp, np.zeros_like(w)
    # One rate for the whole run: the velocity carries it.
    lr = 0.1 * share / (strength * np.abs(gradient(w, rng.standard_normal(w.size))).max())
    for _ in range(8):
        g = gradient(w, rng.standard_normal(w.size))
        after, velocity = subject.averaged(w, velocity, g, lr, warp, m, "before")
        if (np.sign(after) != np.sign(w)).any():
            break
        w = after
        _kept(trial, w, first, "momentum of the scaled gradient keeps it while no sign changes")


@L1_NORM.holds(cost=2, pull=st.floats(0.01, 0.9), **_numbers)
def decay(
    subject: Subject, trial: Trial, seed: int, unit: float, strength: float, share: float, pull: float
) -> None:
    """With unscaled decay: one factor for every filter."""
    rng, w = _start(seed, unit)
    expected, warp = lengths(w), Setting(Zero(), 0.0, strength).warp
    for _ in range(4):
        g = gradient(w, rng.standard_normal(w.size))
        lr = share * (1 - pull) / (strength * np.abs(g).max())
        w = subject.decayed(w, g, lr, warp, pull / lr)
        expected = (1 - pull) * expected
        _kept(trial, w, expected, "unscaled decay makes it (1−ηκ) of what it was")


@L1_NORM.holds(cost=2, at=_with_eps)
def invariant(subject: Subject, trial: Trial, at: Placed) -> None:
    """On other targets the invariant is the integral of x/s."""
    setting, w = at.setting, at.w
    warp, nearest = setting.warp, setting.targets.nearest(w)
    # A piece of the half cell (or of what lies beyond the cap) without a kink in it.
    edge = warp.reach(setting.targets.position(w), w - nearest)
    d = np.abs(w - nearest)
    clear = (d > 1e-5 * (np.abs(nearest) + setting.unit)) & ~((0.9 * d < edge) & (edge < d))
    near = nearest + 0.9 * (w - nearest)
    nodes, weights = np.polynomial.legendre.leggauss(16)
    mesh = (near + w)[:, None] / 2 + (w - near)[:, None] / 2 * nodes
    area = ((mesh / warp.scale(mesh)) @ weights) * (w - near) / 2
    ends = [subject.formulas.filter_invariant(x, warp) for x in (near, w)]
    error = 1e-8 * np.abs(area) + 1e-12 * (np.abs(ends[0]) + np.abs(ends[1]))
    trial.within(np.where(clear, ends[1] - ends[0] - area, 0.0), error, "V is an integral of w/s")


@L1_NORM.holds(seed=seeds, step=powers(-2, 2), eps=powers(-1, 0.5), levels=st.sampled_from([None, 2]))
def other_targets(
    subject: Subject, trial: Trial, seed: int, step: float, eps: float, levels: int | None
) -> None:
    """On other targets a step changes it by O(η²) only."""
    rng = np.random.default_rng(seed)
    w = 1.5 * step * rng.standard_normal(sum(SIZES))
    setting = Setting(UniformGrid(step, levels), eps * step, 1 / step)
    g = gradient(w, rng.standard_normal(w.size))
    total = subject.formulas.filter_invariant
    after = subject.psgd_step(w, g, 1e-4 * step / np.abs(g).max(), setting.warp)
    change = total(after, setting.warp) - total(w, setting.warp)
    # |V″| ≤ (1 + |x|/ε)/(λε); the first order is 0 because Σ w_i g_i is.
    bend = (1 + (np.abs(w) + step) / setting.eps) / (setting.strength * setting.eps)
    for moved, second, size in zip(
        filters(change), filters((after - w) ** 2 * bend / 2), filters(np.abs(w)), strict=True
    ):
        noise = 1e-13 * float(size.sum()) * step / setting.eps * (1 + size.max() / step)
        trial.at_most(abs(moved.sum()), second.sum(), noise, "a step changes Σ V by O(η²)")


_scaled: dict[str, Any] = {
    "seed": seeds,
    "a": st.sampled_from([0.25, 0.5, 3.0, 4.0]),
    "levels": st.sampled_from([1, 3, 7]),
    "eps": st.sampled_from([0.0, 0.01, 0.3]),
    "per_gap": st.sampled_from([None, 0.5, 8.0]),
}


def _run(
    subject: Subject, seed: int, a: float, levels: int, eps: float, per_gap: float | None, fixed: bool
) -> Array:
    """Six steps from a·w₀ at the rate 0.05a², divided by a; λ is λ* or `per_gap`/Δ."""
    rng = np.random.default_rng(seed)
    w: Array = a * rng.standard_normal(sum(SIZES))
    grid = max_range_grid(w / a, levels)
    for _ in range(6):
        grid = grid if fixed else max_range_grid(w, levels)
        volume = float(subject.formulas.volume_strength(grid, eps * grid.step))
        strength = volume if per_gap is None else per_gap / grid.step
        setting = Setting(grid, eps * grid.step, strength)
        g = gradient(w, rng.standard_normal(w.size))
        w = subject.psgd_step(w, g, a**2 * 0.05, setting.warp)
    return w / a


SCALE_INVARIANCE = claim(
    "I2",
    "A grid that follows the weights keeps scale invariance",
    "with Δ = max|w|/L fitted at every step, ε in proportion to Δ, λ = λ* (or any λ in proportion to 1/Δ) "
    "and a loss with L(a·w) = L(w), PSGD from a·w₀ at rate a²η is a times PSGD from w₀ at rate η, with the "
    "same batches; with a fixed Δ it is not: the length of w sets the resolution",
    source="ours; without the grid textbook",
    tests=("psgd_step", "formulas.volume_strength"),
)


@SCALE_INVARIANCE.holds(**_scaled)
def follows(
    subject: Subject, trial: Trial, seed: int, a: float, levels: int, eps: float, per_gap: float | None
) -> None:
    """Two runs over the same batches, from w₀ and from a·w₀; on a fixed grid they part."""
    one, scaled = (_run(subject, seed, factor, levels, eps, per_gap, fixed=False) for factor in (1.0, a))
    trial.within(
        scaled - one, 1e-9 * np.abs(one).max(), "a times the weights, a² times the rate: the same run"
    )


@SCALE_INVARIANCE.refutes(**_scaled)
def fixed_grid(
    subject: Subject, trial: Trial, seed: int, a: float, levels: int, eps: float, per_gap: float | None
) -> None:
    """On a fixed grid, too, the two runs are the same."""
    one, scaled = (_run(subject, seed, factor, levels, eps, per_gap, fixed=True) for factor in (1.0, a))
    trial.within(scaled - one, 1e-6 * np.abs(one).max(), "the same run")
