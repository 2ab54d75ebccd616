"""Chapter F: sharp, yet better."""

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import UniformGrid
from psgd_ref.laws.drawing.losses import Logistic, Quadratic
from psgd_ref.laws.drawing.strategies import Setting, powers, seeds
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

_numbers = {"step": powers(-2, 2), "eps": powers(-3, 0), "seed": seeds, "n": st.integers(1, 4)}


@claim(
    "F1",
    "Curvature in the warped space",
    "H_Y = S^½ H S^½ + diag((f⁻¹)″ ⊙ g), off the targets; at a critical point the second term vanishes",
    tests=("warp", "formulas.warped_hessian"),
)
def warped_hessian(subject: Subject, trial: Trial) -> None:
    """Against second differences of L ∘ F⁻¹, on quadratics and logistic regression."""

    @trial.holds(cost=2, convex=st.booleans(), **_numbers)
    def second_differences(convex: bool, step: float, eps: float, seed: int, n: int) -> None:
        rng = np.random.default_rng(seed)
        loss = Quadratic(seed, n, step) if convex else Logistic(seed, n, step)
        setting = Setting(UniformGrid(step), eps * step, 8 / step)
        warp = subject.warp(setting.targets, setting.eps, setting.strength)
        side = rng.choice([-1.0, 1.0], n)
        w = (rng.integers(-2, 3, n) + side * rng.uniform(0.1, 0.4, n)) * step
        y, h = warp(w), 2e-4 * step
        matrix = subject.formulas.warped_hessian(loss.hessian(w), loss.gradient(w), w, setting.warp)
        # In a half cell L∘F⁻¹ is smooth: second differences in each pair of directions.
        size = np.abs(matrix).max() + loss.smoothness + np.abs(loss.gradient(w)).max() / step
        for i in range(n):
            for j in range(n):
                a, b = h * np.eye(n)[i], h * np.eye(n)[j]
                corners = [
                    loss.value(warp.inverse(y + p * a + q * b)) * p * q for p in (-1, 1) for q in (-1, 1)
                ]
                rounding = 1e-15 * (abs(loss.value(w)) + 1) / h**2 * 8 + 1e-13 * np.abs(w).max() * size / h
                error = 1e-5 * size + rounding
                trial.within(sum(corners) / (4 * h * h) - matrix[i, j], error, "H_Y by second differences")
        critical = subject.formulas.warped_hessian(loss.hessian(w), np.zeros(n), w, setting.warp)
        root = np.sqrt(setting.warp.scale(w))
        plain = root[:, None] * loss.hessian(w) * root
        trial.within(critical - plain, 1e-12 * np.abs(plain).max(), "at a critical point H_Y = S^½HS^½")


@claim(
    "F2",
    "Stability",
    "PSGD linearised at a critical point is I − ηSH, similar to I − ηH_Y: stable iff ηλ_max(H_Y) < 2; on "
    "targets, where s = λε, λ_max(H) may be as large as 2/(ηλε)",
    tests=(
        "psgd_step",
        "formulas.psgd_linearisation",
        "formulas.largest_stable_step",
        "formulas.largest_stable_curvature",
    ),
)
def stability(subject: Subject, trial: Trial) -> None:
    """The step's own derivative, the spectra, and runs 10 % on both sides of the threshold."""

    @trial.holds(cost=4, on_targets=st.booleans(), **_numbers)
    def threshold(on_targets: bool, step: float, eps: float, seed: int, n: int) -> None:
        rng, formulas = np.random.default_rng(seed), subject.formulas
        hessian = Quadratic(seed, n, step).parts[0]
        setting = Setting(UniformGrid(step), eps * step, 8 / step)
        warp = setting.warp
        offset = 0.0 if on_targets else rng.uniform(0.1, 0.4, n) * rng.choice([-1, 1], n)
        best = (rng.integers(-2, 3, n) + offset) * step
        warped = formulas.warped_hessian(hessian, np.zeros(n), best, warp)
        values, vectors = np.linalg.eigh(warped)
        limit = formulas.largest_stable_step(warped)
        trial.within(limit * values[-1] - 2, 1e-12, "the largest stable step is 2/λ_max(H_Y)")
        matrix = formulas.psgd_linearisation(hessian, best, limit, warp)
        spectrum = np.sort(np.linalg.eigvals(matrix).real)
        trial.within(spectrum - np.sort(1 - limit * values), 1e-9, "I − ηSH is similar to I − ηH_Y")
        if on_targets:
            sharpest = formulas.largest_stable_curvature(limit, setting.eps, setting.strength)
            top = np.linalg.eigvalsh(hessian)[-1]
            trial.within(top / sharpest - 1, 1e-9, "on targets λ_max(H) reaches 2/(ηλε)")
        # The top mode in w is S^½ times that of H_Y. So small that s changes by less than 10⁻⁵ on the way.
        mode = np.sqrt(warp.scale(best)) * vectors[:, -1]
        start = 1e-7 * min(step, setting.eps) * mode / np.abs(mode).max()
        for share in (0.9, 1.1):
            w = best + start
            for _ in range(15):
                w = subject.psgd_step(w, hessian @ (w - best), share * limit, warp)
            grown = np.linalg.norm(w - best) / np.linalg.norm(start)
            expected = abs(1 - 2 * share) ** 15
            noise = 1e-15 * np.abs(best).max() / np.abs(start).max() * 1e3
            trial.within(grown / expected - 1, 1e-3 + noise, "the top mode grows by |1 − ηλ_max(H_Y)| a step")
            trial.true((grown < 1) == (share < 1), "stable below the threshold, unstable above")


@claim(
    "F3",
    "What quantization costs",
    "L(w̄) − L(w) = g·q + ½qᵀHq + O(|q|³), q = w̄ − w, with an error of at most M|q|³/6 where H is M-Lipschitz",
    tests=("nearest", "formulas.quantization_loss"),
)
def quantization_loss(subject: Subject, trial: Trial) -> None:
    """Exact on quadratics, within the third-order bound on logistic regression, and of third order."""

    @trial.holds(cost=2, **_numbers)
    def expansion(step: float, eps: float, seed: int, n: int) -> None:
        rng, grid = np.random.default_rng(seed), UniformGrid(step)
        w = 3 * step * rng.standard_normal(n)
        q = subject.nearest(w, grid) - w
        trial.at_most(np.abs(q), step / 2, 1e-12 * step, "|q| ≤ Δ/2")
        for loss in (Quadratic(seed, n, step), Logistic(seed, n, step)):
            g, h = loss.gradient(w), loss.hessian(w)
            third = 0.0 if isinstance(loss, Quadratic) else loss.third

            def left(share: float) -> float:
                expected = subject.formulas.quantization_loss(h, g, share * q)  # noqa: B023
                return loss.value(w + share * q) - loss.value(w) - expected  # noqa: B023

            noise = 1e-14 * (loss.value(w) + np.abs(g).sum() * np.abs(w).max() + loss.smoothness * step**2)
            for share in (1.0, 0.5, 0.25):
                most = third * np.linalg.norm(share * q) ** 3 / 6
                trial.at_most(abs(left(share)), most, noise, "the error is at most M|q|³/6")
