"""Chapter F: sharp, yet better."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import UniformGrid
from psgd_ref.laws.drawing.losses import Logistic, Quadratic
from psgd_ref.laws.drawing.strategies import Setting, powers, seeds
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

_numbers: dict[str, Any] = {
    "step": powers(-2, 2),
    "eps": st.one_of(st.just(0.0), powers(-3, 0)),
    "seed": seeds,
    "n": st.integers(1, 4),
}

WARPED_CURVATURE = claim(
    "F1",
    "Curvature in the warped space",
    "H_Y = S^½ H S^½ + diag((f⁻¹)″ ⊙ g), off targets, cell walls and the edge of a cap, where f⁻¹ has no "
    "second derivative; at a critical point the second term vanishes, there too",
    tests=("warp", "formulas.warped_hessian"),
)


@WARPED_CURVATURE.holds(cost=2, convex=st.booleans(), capped=st.booleans(), **_numbers)
def second_differences(
    subject: Subject, trial: Trial, convex: bool, capped: bool, step: float, eps: float, seed: int, n: int
) -> None:
    """Against second differences of L ∘ F⁻¹, from next to targets to next to walls and beyond a cap."""
    rng = np.random.default_rng(seed)
    loss = Quadratic(seed, n, step) if convex else Logistic(seed, n, step)
    setting = Setting(UniformGrid(step, 3 if capped else None), eps * step, 8 / step, capped)
    warp = subject.warp(setting.targets, setting.eps, setting.strength, setting.cap)
    side = rng.choice([-1.0, 1.0], n)
    w = (rng.integers(-2, 3, n) + side * rng.uniform(0.01, 0.49, n)) * step
    if capped:
        w[0] = side[0] * (3.51 + rng.uniform(0, 3)) * step
    y, h = warp(w), 2e-4 * step
    matrix = subject.formulas.warped_hessian(loss.hessian(w), loss.gradient(w), w, setting.warp)
    # In a half cell L∘F⁻¹ is smooth: second differences in each pair of directions.
    size = np.abs(matrix).max() + loss.smoothness * (1 + 4 * eps) + np.abs(loss.gradient(w)).max() / step
    for i in range(n):
        for j in range(n):
            a, b = h * np.eye(n)[i], h * np.eye(n)[j]
            corners = [loss.value(warp.inverse(y + p * a + q * b)) * p * q for p in (-1, 1) for q in (-1, 1)]
            rounding = 1e-15 * (abs(loss.value(w)) + 1) / h**2 * 8 + 1e-13 * np.abs(w).max() * size / h
            error = 1e-5 * size + rounding
            trial.within(sum(corners) / (4 * h * h) - matrix[i, j], error, "H_Y by second differences")
    critical = subject.formulas.warped_hessian(loss.hessian(w), np.zeros(n), w, setting.warp)
    root = np.sqrt(setting.warp.scale(w))
    plain = root[:, None] * loss.hessian(w) * root
    trial.within(critical - plain, 1e-12 * np.abs(plain).max(), "at a critical point H_Y = S^½HS^½")


STABILITY = claim(
    "F2",
    "Stability",
    "at a minimum with H positive definite and S > 0 PSGD linearised is I − ηSH, similar to I − ηH_Y: "
    "stable iff ηλ_max(H_Y) < 2 (at a saddle or a maximum for no η > 0); on targets, where s = λε, "
    "λ_max(H) may be as large as 2/(ηλε)",
    tests=(
        "psgd_step",
        "formulas.psgd_linearisation",
        "formulas.largest_stable_step",
        "formulas.largest_stable_curvature",
    ),
)
_smooth = {**_numbers, "eps": powers(-3, 0)}


@STABILITY.holds(cost=4, on_targets=st.booleans(), saddle=st.booleans(), capped=st.booleans(), **_smooth)
def threshold(
    subject: Subject,
    trial: Trial,
    on_targets: bool,
    saddle: bool,
    capped: bool,
    step: float,
    eps: float,
    seed: int,
    n: int,
) -> None:
    """The spectra, and runs 10 % on both sides of the threshold; at a saddle, away from it at every rate."""
    rng, formulas = np.random.default_rng(seed), subject.formulas
    hessian = Quadratic(seed, n, step).parts[0]
    setting = Setting(UniformGrid(step, 3 if capped else None), eps * step, 8 / step, capped)
    warp = setting.warp
    offset = 0.0 if on_targets else rng.uniform(0.05, 0.45, n) * rng.choice([-1, 1], n)
    best = (rng.integers(-2, 3, n) + offset) * step
    if capped and not on_targets:
        best[0] = (4 + rng.uniform()) * step  # beyond the cap's edge, 3.5 steps
    if saddle:
        curvatures, directions = np.linalg.eigh(hessian)
        hessian = (directions * np.where(np.arange(n) == 0, -curvatures[0], curvatures)) @ directions.T
    warped = formulas.warped_hessian(hessian, np.zeros(n), best, warp)
    values, vectors = np.linalg.eigh(warped)
    limit = formulas.largest_stable_step(warped)
    if saddle:
        trial.within(limit, 0.0, "at a saddle no step size is stable")
        limit = 1.0 / np.abs(values).max()
    else:
        trial.within(limit * values[-1] - 2, 1e-12, "the largest stable step is 2/λ_max(H_Y)")
    matrix = formulas.psgd_linearisation(hessian, best, limit, warp)
    spectrum = np.sort(np.linalg.eigvals(matrix).real)
    trial.within(spectrum - np.sort(1 - limit * values), 1e-9, "I − ηSH is similar to I − ηH_Y")
    if on_targets and not saddle:
        sharpest = formulas.largest_stable_curvature(limit, setting.eps, setting.strength)
        top = np.linalg.eigvalsh(hessian)[-1]
        trial.within(top / sharpest - 1, 1e-9, "on targets λ_max(H) reaches 2/(ηλε)")
    # A mode in w is S^½ times that of H_Y. So small that s changes by less than 10⁻⁵ on the way.
    mode = np.sqrt(warp.scale(best)) * vectors[:, 0 if saddle else -1]
    start = 1e-7 * min(step, setting.eps) * mode / np.abs(mode).max()
    steps = 5 if saddle else 15  # a mode that doubles at every step must not come far
    for share in (0.9, 1.1):
        w = best + start
        for _ in range(steps):
            w = subject.psgd_step(w, hessian @ (w - best), share * limit, warp)
        grown = np.linalg.norm(w - best) / np.linalg.norm(start)
        expected = abs(1 - share * limit * values[0 if saddle else -1]) ** steps
        noise = 1e-15 * np.abs(best).max() / np.abs(start).max() * 1e3
        trial.within(grown / expected - 1, 1e-3 + noise, "a mode grows by |1 − ηλ(H_Y)| a step")
        stays = share < 1 and not saddle
        trial.true((grown < 1) == stays, "stable below the threshold, unstable above and at a saddle")


QUANTIZATION_COST = claim(
    "F3",
    "What quantization costs",
    "L(w̄) − L(w) = g·q + ½qᵀHq + O(|q|³), q = w̄ − w, with an error of at most M|q|³/6 where H is M-Lipschitz",
    tests=("nearest", "formulas.quantization_loss"),
)


@QUANTIZATION_COST.holds(cost=2, step=powers(-2, 2), seed=seeds, n=st.integers(1, 4))
def expansion(subject: Subject, trial: Trial, step: float, seed: int, n: int) -> None:
    """Exact on quadratics, within the third-order bound on logistic regression, and of third order."""
    rng, grid = np.random.default_rng(seed), UniformGrid(step)
    w = 3 * step * rng.standard_normal(n)
    q = subject.nearest(w, grid) - w
    trial.at_most(np.abs(q), step / 2, 1e-12 * step, "|q| ≤ Δ/2")
    for loss in (Quadratic(seed, n, step), Logistic(seed, n, step)):
        g, h = loss.gradient(w), loss.hessian(w)
        third = 0.0 if isinstance(loss, Quadratic) else loss.third
        noise = 1e-14 * (loss.value(w) + np.abs(g).sum() * np.abs(w).max() + loss.smoothness * step**2)
        for share in (1.0, 0.5, 0.25):
            expected = subject.formulas.quantization_loss(h, g, share * q)
            left = loss.value(w + share * q) - loss.value(w) - expected
            most = third * np.linalg.norm(share * q) ** 3 / 6
            trial.at_most(abs(left), most, noise, "the error is at most M|q|³/6")
