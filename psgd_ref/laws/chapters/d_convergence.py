"""Chapter D, first half: descent and rates."""

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import UniformGrid, position_scale
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.losses import Logistic, Loss, Perceptron, Quadratic, smoothness_along
from psgd_ref.laws.drawing.strategies import Placed, Setting, placed, powers, seeds, setups, target_sets
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

# With the cap, or on an endless lattice, s ≤ S everywhere: what every bound here assumes.
_bounded = setups(target_sets(several=True), cap=True)
_bounded_smooth = setups(target_sets(several=True), eps="positive", cap=True)
_shares = st.floats(0.05, 1.0)
_steps = st.integers(1, 30)


def _largest_scale(subject: Subject, setting: Setting) -> float:
    return subject.formulas.largest_scale(setting.widest, setting.eps, setting.strength)


def _loss(kind: str, seed: int, n: int, unit: float) -> Quadratic | Logistic:
    return Quadratic(seed, n, unit) if kind == "quadratic" else Logistic(seed, n, unit)


_kinds = st.sampled_from(["quadratic", "logistic"])


def _noise(loss: Loss, w: Array, smoothness: float, unit: float) -> float:
    """Rounding of a difference of losses at w: that of L, and that of w times the gradient's size there."""
    size = float(np.abs(w).max(initial=0.0)) + 8 * unit
    return 1e-13 * (abs(loss.value(w)) + 1 / max(len(w), 1) + smoothness * len(w) * size**2)


@claim(
    "D1",
    "Descent",
    "if L is β-smooth, s ≤ S and ηS ≤ 1/β, then L(w⁺) ≤ L(w) − (η/2)‖g‖²_s, ‖g‖²_s = Σ s_i g_i²",
    tests=("psgd_step", "formulas.descent_bound", "formulas.largest_scale", "formulas.largest_step"),
)
def descent(subject: Subject, trial: Trial) -> None:
    """Quadratics, logistic regression, and a network with its smoothness measured along the step."""

    def check(loss: Loss, setting: Setting, w: Array, lr: float, smoothness: float) -> None:
        g = loss.gradient(w)
        after = subject.psgd_step(w, g, lr, setting.warp)
        s = position_scale(w, setting.targets, setting.eps, setting.strength, setting.cap)
        fall, least = loss.value(w) - loss.value(after), subject.formulas.descent_bound(g, s, lr)
        trial.at_most(least, fall, _noise(loss, w, smoothness, setting.unit), "L(w) − L(w⁺) ≥ (η/2)‖g‖²_s")

    @trial.holds(at=placed(_bounded), kind=_kinds, seed=seeds, share=_shares)
    def known_smoothness(at: Placed, kind: str, seed: int, share: float) -> None:
        setting, w = at.setting, at.w
        loss = _loss(kind, seed, w.size, setting.unit)
        lr = share * subject.formulas.largest_step(loss.smoothness, _largest_scale(subject, setting))
        check(loss, setting, w, lr, loss.smoothness)

    @trial.holds(cost=2, setting=_bounded, seed=seeds, share=_shares)
    def network(setting: Setting, seed: int, share: float) -> None:
        loss = Perceptron(seed, setting.unit)
        w = setting.unit * np.random.default_rng(seed).standard_normal(loss.n)
        direction = -setting.warp.scale(w) * loss.gradient(w)
        top = _largest_scale(subject, setting)
        # Smoothness over the longest step in question; a shorter step lies on the same segment.
        longest = 4 * setting.unit**2 / top
        smoothness = 1.05 * smoothness_along(loss, w, longest * direction)
        if smoothness > 0:
            lr = min(longest, share * subject.formulas.largest_step(smoothness, top))
            check(loss, setting, w, lr, smoothness)


@claim(
    "D2",
    "Rates",
    "after K such steps min_k ‖g‖²_s ≤ 2(L₀−L*)/(ηK), and for ε > 0 min_k ‖g‖² ≤ 2(L₀−L*)/(ηλεK)",
    tests=("psgd_step", "formulas.rate_bound", "formulas.gradient_rate_bound"),
)
def rates(subject: Subject, trial: Trial) -> None:
    """Thirty steps on losses whose least value is known or bounded below."""

    @trial.holds(
        cost=3, at=placed(_bounded), kind=_kinds, seed=seeds, share=_shares, steps=st.integers(1, 30)
    )
    def rate(at: Placed, kind: str, seed: int, share: float, steps: int) -> None:
        setting, w = at.setting, at.w
        loss = _loss(kind, seed, w.size, setting.unit)
        warp = setting.warp
        lr = share * subject.formulas.largest_step(loss.smoothness, _largest_scale(subject, setting))
        least = 0.0 if isinstance(loss, Quadratic) else loss.value(loss.minimum())
        start = loss.value(w)
        scaled, plain = np.inf, np.inf
        for _ in range(steps):
            g = loss.gradient(w)
            s = position_scale(w, setting.targets, setting.eps, setting.strength, setting.cap)
            scaled, plain = min(scaled, float(np.sum(s * g**2))), min(plain, float(np.sum(g**2)))
            w = subject.psgd_step(w, g, lr, warp)
        bound = subject.formulas.rate_bound(start - least, lr, steps)
        noise = 1e-13 * (start + 1) / lr
        trial.at_most(scaled, bound, noise, "min ‖g‖²_s ≤ 2(L₀ − L*)/(ηK)")
        if setting.eps > 0:
            bound = subject.formulas.gradient_rate_bound(
                start - least, lr, steps, setting.eps, setting.strength
            )
            noise = noise / (setting.strength * setting.eps)
            trial.at_most(plain, bound, noise, "min ‖g‖² ≤ 2(L₀ − L*)/(ηλεK)")


@claim(
    "D3",
    "Linear rate",
    "with the PL inequality (μ) and ε > 0, L_K − L* ≤ (1−ηλεμ)^K (L₀−L*); near the minimiser of a 1-d "
    "quadratic at distance d* from its target the distance contracts by 1−ηλ(d*+ε)h, the loss by its square",
    tests=("psgd_step", "formulas.pl_rate", "formulas.local_contraction"),
)
def linear_rate(subject: Subject, trial: Trial) -> None:
    """The rate on losses that satisfy PL, and how tight it is."""

    @trial.holds(
        cost=3, at=placed(_bounded_smooth), kind=_kinds, seed=seeds, share=_shares, steps=st.integers(1, 30)
    )
    def pl(at: Placed, kind: str, seed: int, share: float, steps: int) -> None:
        setting, w = at.setting, at.w
        loss, warp = _loss(kind, seed, w.size, setting.unit), setting.warp
        lr = share * subject.formulas.largest_step(loss.smoothness, _largest_scale(subject, setting))
        least = 0.0 if isinstance(loss, Quadratic) else loss.value(loss.minimum())
        start = loss.value(w) - least
        for _ in range(steps):
            w = subject.psgd_step(w, loss.gradient(w), lr, warp)
        rate = subject.formulas.pl_rate(lr, setting.eps, setting.strength, loss.pl)
        noise = _noise(loss, w, loss.smoothness, setting.unit) + 1e-13 * start
        trial.at_most(loss.value(w) - least, rate**steps * start, noise, "L_K − L* ≤ (1 − ηλεμ)^K (L₀ − L*)")

    places = {
        "eps": powers(-1.5, 0.5),
        "share": st.floats(0.3, 1.0),
        "offset": st.sampled_from([0.0, 0.1, 0.3]),
    }

    @trial.holds(cost=10, step=powers(-3, 3), h=powers(-2, 2), **places)
    def tightness(step: float, h: float, eps: float, share: float, offset: float) -> None:
        setting = Setting(UniformGrid(step), eps * step, 8 / step)
        warp, best = setting.warp, offset * step
        lr = share * subject.formulas.largest_step(h, _largest_scale(subject, setting))
        x = np.array([best + 0.15 * step])
        for _ in range(300):
            before, x = x, subject.psgd_step(x, h * (x - best), lr, warp)
            if abs(x[0] - best) < 1e-6 * step:
                break
        local = subject.formulas.local_contraction(lr, setting.eps, setting.strength, h, best)
        ratio = (x - best) / (before - best)
        # At a distance r from the minimiser s is off by λr; x carries the rounding of best.
        allowed = lr * setting.strength * h * np.abs(before - best) + 1e-13 * step / np.abs(before - best)
        trial.within(ratio - local, 2 * allowed, "the distance contracts by 1 − ηλ(d* + ε)h")
        if offset == 0:
            bound = subject.formulas.pl_rate(lr, setting.eps, setting.strength, h)
            trial.within(np.log(local**2) / np.log(bound) - 2, 1e-9, "the exponent is tight within 2")


@claim(
    "D4",
    "Noise",
    "with unbiased gradients, E‖ĝ−g‖² ≤ v, the average of E‖g‖²_s over K steps is at most "
    "2(L₀−L*)/(ηK) + ηβS²v; s depends on w alone, so the step stays unbiased",
    tests=("psgd_step", "formulas.stochastic_bound"),
)
def noise(subject: Subject, trial: Trial) -> None:
    """Opposite noises average out exactly; the bound against 100 runs, within 6 standard errors."""

    @trial.holds(at=placed(_bounded), seed=seeds, lr=powers(-3, 1))
    def unbiased(at: Placed, seed: int, lr: float) -> None:
        setting, w = at.setting, at.w
        g, noise = np.random.default_rng(seed).standard_normal((2, w.size)) / (lr * setting.strength)
        steps = [subject.psgd_step(w, g + sign * noise, lr, setting.warp) for sign in (-1, 1, 0)]
        size = np.abs(w) + lr * setting.warp.scale(w) * (np.abs(g) + np.abs(noise))
        trial.within(
            (steps[0] + steps[1]) / 2 - steps[2],
            16 * rounding.UNIT * size + rounding.TINY,
            "the step stays unbiased",
        )

    smooth = setups(target_sets(several=True), eps="positive", cap=True)
    numbers = {"share": st.floats(0.3, 1.0), "level": powers(-1, 1), "steps": st.integers(20, 60)}

    @trial.holds(cost=8, setting=smooth, seed=seeds, n=st.integers(1, 4), far=st.booleans(), **numbers)
    def bound(setting: Setting, seed: int, n: int, far: bool, share: float, level: float, steps: int) -> None:
        rng, loss, warp = np.random.default_rng(seed), Quadratic(seed, n, setting.unit), setting.warp
        top = _largest_scale(subject, setting)
        lr = share * subject.formulas.largest_step(loss.smoothness, top)
        deviation = level * loss.smoothness * setting.unit
        w = np.tile(loss.parts[1] + far * setting.unit, (100, 1))
        start, sums = loss.value(w[0]), np.zeros(100)
        for _ in range(steps):
            g = loss.gradient(w)
            sums += np.sum(warp.scale(w) * g**2, axis=1)
            w = subject.psgd_step(w, g + deviation * rng.standard_normal(w.shape), lr, warp)
        mean, error = (sums / steps).mean(), (sums / steps).std() / 10
        most = subject.formulas.stochastic_bound(start, lr, steps, loss.smoothness, top, n * deviation**2)
        trial.at_most(mean, most, 6 * error, "the average of E‖g‖²_s is bounded")
