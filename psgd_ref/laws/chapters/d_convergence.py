"""Chapter D, first half: descent and rates."""

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import UniformGrid, position_scale
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.losses import Logistic, Loss, Perceptron, Quadratic, smoothness_along
from psgd_ref.laws.drawing.noises import NOISES
from psgd_ref.laws.drawing.strategies import Placed, Setting, placed, powers, seeds, setups, target_sets
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

# With the cap, or on an endless lattice, s ≤ S everywhere: what every bound here supposes.
_bounded = setups(target_sets(several=True), cap=True)
_bounded_smooth = setups(target_sets(several=True), eps="positive", cap=True)
_shares = st.one_of(st.just(1.0), st.floats(0.05, 1.0))
_steps = st.integers(1, 30)
_kinds = st.sampled_from(["quadratic", "flat", "logistic"])


def _largest_scale(subject: Subject, setting: Setting) -> float:
    return subject.formulas.largest_scale(setting.widest, setting.eps, setting.strength)


def _loss(kind: str, seed: int, n: int, unit: float) -> Quadratic | Logistic:
    return Logistic(seed, n, unit) if kind == "logistic" else Quadratic(seed, n, unit, flat=kind == "flat")


def _noise(loss: Loss, w: Array, smoothness: float, unit: float) -> float:
    """Rounding of a difference of losses at w: that of L, and that of w times the gradient's size there."""
    size = float(np.abs(w).max(initial=0.0)) + 8 * unit
    return 1e-13 * (abs(loss.value(w)) + 1 / max(len(w), 1) + smoothness * len(w) * size**2)


DESCENT = claim(
    "D1",
    "Descent",
    "if L is β-smooth, g its full gradient, s ≤ S and ηS ≤ 1/β, then L(w⁺) ≤ L(w) − (η/2)‖g‖²_s, "
    "‖g‖²_s = Σ s_i g_i²",
    tests=("psgd_step", "formulas.descent_bound", "formulas.largest_scale", "formulas.largest_step"),
)


def _falls(
    subject: Subject, trial: Trial, loss: Loss, setting: Setting, w: Array, lr: float, smoothness: float
) -> None:
    g = loss.gradient(w)
    after = subject.psgd_step(w, g, lr, setting.warp)
    s = position_scale(w, setting.targets, setting.eps, setting.strength, setting.cap)
    fall, least = loss.value(w) - loss.value(after), subject.formulas.descent_bound(g, s, lr)
    trial.at_most(least, fall, _noise(loss, w, smoothness, setting.unit), "L(w) − L(w⁺) ≥ (η/2)‖g‖²_s")


@DESCENT.holds(at=placed(_bounded), kind=_kinds, seed=seeds, share=_shares)
def known_smoothness(subject: Subject, trial: Trial, at: Placed, kind: str, seed: int, share: float) -> None:
    """Quadratics and logistic regression, up to the largest step."""
    setting, w = at.setting, at.w
    loss = _loss(kind, seed, w.size, setting.unit)
    lr = share * subject.formulas.largest_step(loss.smoothness, _largest_scale(subject, setting))
    _falls(subject, trial, loss, setting, w, lr, loss.smoothness)


@DESCENT.holds(cost=2, setting=_bounded, seed=seeds, share=_shares)
def network(subject: Subject, trial: Trial, setting: Setting, seed: int, share: float) -> None:
    """A network, with its smoothness measured along the step."""
    loss = Perceptron(seed, setting.unit)
    w = setting.unit * np.random.default_rng(seed).standard_normal(loss.n)
    direction = -setting.warp.scale(w) * loss.gradient(w)
    top = _largest_scale(subject, setting)
    # Smoothness over the longest step in question; a shorter step lies on the same segment.
    longest = 4 * setting.unit**2 / top
    smoothness = 1.05 * smoothness_along(loss, w, longest * direction)
    if smoothness > 0:
        lr = min(longest, share * subject.formulas.largest_step(smoothness, top))
        _falls(subject, trial, loss, setting, w, lr, smoothness)


@DESCENT.holds(setting=_bounded)
def attained(subject: Subject, trial: Trial, setting: Setting) -> None:
    """S is the least bound: in the widest gap s reaches it midway; and the bound is that of its formula."""
    points, f = setting.points, subject.formulas
    k = int(np.argmax(np.diff(points)))
    middle = np.array([(points[k] + points[k + 1]) / 2])
    s = position_scale(middle, setting.targets, setting.eps, setting.strength, setting.cap)
    error = 16 * rounding.UNIT * setting.strength * (np.abs(points).max() + setting.unit + setting.eps)
    trial.within(_largest_scale(subject, setting) - s, error, "S = λ(Δ/2 + ε) is the scale midway")
    top = _largest_scale(subject, setting)
    trial.within(f.largest_step(3.0, top) * 3 * top - 1, 1e-14, "the largest step is η = 1/(βS)")
    trial.within(f.descent_bound([3.0, 1.0], [2.0, 4.0], 0.5) - 5.5, 1e-14, "the bound is (η/2)Σ s_i g_i²")


RATES = claim(
    "D2",
    "Rates",
    "after K steps that satisfy D1 on a loss bounded below by L*, min_k ‖g‖²_s ≤ 2(L₀−L*)/(ηK), and for ε "
    "> 0 min_k ‖g‖² ≤ 2(L₀−L*)/(ηλεK)",
    tests=("psgd_step", "formulas.rate_bound", "formulas.gradient_rate_bound"),
)


@RATES.holds(cost=3, at=placed(_bounded), kind=_kinds, seed=seeds, share=_shares, steps=_steps)
def rate(subject: Subject, trial: Trial, at: Placed, kind: str, seed: int, share: float, steps: int) -> None:
    """Up to thirty steps on losses whose least value is known."""
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
        bound = subject.formulas.gradient_rate_bound(start - least, lr, steps, setting.eps, setting.strength)
        noise = noise / (setting.strength * setting.eps)
        trial.at_most(plain, bound, noise, "min ‖g‖² ≤ 2(L₀ − L*)/(ηλεK)")


@RATES.holds(h=powers(-2, 2), step=powers(-2, 2), steps=_steps, far=powers(-2, 2))
def slowest(subject: Subject, trial: Trial, h: float, step: float, steps: int, far: float) -> None:
    """The rate is tight within 2: beyond a cap, under a constant slope, L falls by ηs g², twice D1's."""
    warp = Setting(UniformGrid(step, 1), 0.0, 1 / step, cap=True).warp
    start = w = np.array([(2 + far + steps) * step])
    s, lr, slope = float(warp.scale(w)[0]), 0.5 / h, h * step
    for _ in range(steps):
        w = subject.psgd_step(w, np.full_like(w, slope), lr, warp)
    fall = slope * float((start - w)[0])
    error = 1e-12 * (2 + far + steps)
    bound = subject.formulas.rate_bound(fall, lr, steps)
    trial.within(2 * s * slope**2 / bound - 1, error, "under a constant slope ‖g‖²_s is half the bound")
    plain = subject.formulas.gradient_rate_bound(fall, lr, steps, 0.25, 2.0)
    trial.within(plain * 0.25 * 2.0 / bound - 1, 1e-14, "with s ≥ λε the bound on ‖g‖² is 1/λε times that")


LINEAR_RATE = claim(
    "D3",
    "Linear rate",
    "under D1's conditions (L β-smooth, s ≤ S, ηS ≤ 1/β), with the PL inequality ½‖∇L‖² ≥ μ(L − L*) and ε "
    "> 0, L_K − L* ≤ (1−ηλεμ)^K (L₀−L*); near the minimiser of a 1-d quadratic at distance d* < Δ/2 from "
    "its target the distance contracts by 1−ηλ(d*+ε)h, the loss by its square",
    tests=("psgd_step", "formulas.pl_rate", "formulas.local_contraction"),
)


@LINEAR_RATE.holds(cost=3, at=placed(_bounded_smooth), kind=_kinds, seed=seeds, share=_shares, steps=_steps)
def pl(subject: Subject, trial: Trial, at: Placed, kind: str, seed: int, share: float, steps: int) -> None:
    """The rate on losses that satisfy PL, quadratics with a flat direction among them."""
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


@LINEAR_RATE.holds(
    cost=10,
    step=powers(-3, 3),
    h=powers(-2, 2),
    eps=powers(-1.5, 0.5),
    share=st.floats(0.3, 1.0),
    offset=st.sampled_from([0.0, 0.1, 0.3, 0.45]),
)
def tightness(
    subject: Subject, trial: Trial, step: float, h: float, eps: float, share: float, offset: float
) -> None:
    """How tight the rate is: the contraction near the minimiser of a quadratic."""
    setting = Setting(UniformGrid(step), eps * step, 8 / step)
    warp, best = setting.warp, offset * step
    lr = share * subject.formulas.largest_step(h, _largest_scale(subject, setting))
    x = np.array([best + min(0.15, 0.49 - offset) * step])
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


NOISE = claim(
    "D4",
    "Noise",
    "under D1's conditions, with gradients that are unbiased given w, E‖ĝ−g‖² ≤ v, the average of E‖g‖²_s "
    "over K steps is at most 2(L₀−L*)/(ηK) + ηβS²v; s depends on w alone, so the step stays unbiased",
    tests=("psgd_step", "formulas.stochastic_bound"),
)


@NOISE.holds(at=placed(_bounded), seed=seeds, lr=powers(-3, 1))
def unbiased(subject: Subject, trial: Trial, at: Placed, seed: int, lr: float) -> None:
    """Opposite noises average out exactly."""
    setting, w = at.setting, at.w
    g, noise = np.random.default_rng(seed).standard_normal((2, w.size)) / (lr * setting.strength)
    steps = [subject.psgd_step(w, g + sign * noise, lr, setting.warp) for sign in (-1, 1, 0)]
    size = np.abs(w) + lr * setting.warp.scale(w) * (np.abs(g) + np.abs(noise))
    trial.within(
        (steps[0] + steps[1]) / 2 - steps[2],
        16 * rounding.UNIT * size + rounding.TINY,
        "the step stays unbiased",
    )


@NOISE.holds(
    cost=8,
    setting=_bounded,
    seed=seeds,
    n=st.integers(1, 4),
    far=st.booleans(),
    share=st.one_of(st.just(1.0), st.floats(0.3, 1.0)),
    level=powers(-1, 1),
    steps=st.integers(20, 60),
    kind=st.sampled_from(sorted(NOISES)),
)
def bound(
    subject: Subject,
    trial: Trial,
    setting: Setting,
    seed: int,
    n: int,
    far: bool,
    share: float,
    level: float,
    steps: int,
    kind: str,
) -> None:
    """The bound against the mean of 100 runs, within 6 standard errors, under noise of three kinds."""
    rng, loss, warp = np.random.default_rng(seed), Quadratic(seed, n, setting.unit), setting.warp
    top = _largest_scale(subject, setting)
    lr = share * subject.formulas.largest_step(loss.smoothness, top)
    deviation = level * loss.smoothness * setting.unit
    w = np.tile(loss.parts[1] + far * setting.unit, (100, 1))
    start, sums = loss.value(w[0]), np.zeros(100)
    for _ in range(steps):
        g = loss.gradient(w)
        sums += np.sum(warp.scale(w) * g**2, axis=1)
        w = subject.psgd_step(w, g + deviation * NOISES[kind].draw(rng, w.shape), lr, warp)
    mean, error = (sums / steps).mean(), (sums / steps).std() / 10
    most = subject.formulas.stochastic_bound(start, lr, steps, loss.smoothness, top, n * deviation**2)
    trial.at_most(mean, most, 6 * error, "the average of E‖g‖²_s is bounded")
    terms = 2 * start / (lr * steps) + lr * loss.smoothness * top**2 * n * deviation**2
    trial.within(most / terms - 1, 1e-12, "the bound is 2(L₀ − L*)/(ηK) + ηβS²v")
