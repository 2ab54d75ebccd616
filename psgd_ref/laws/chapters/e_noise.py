"""Chapter E, third part: what gradient noise does to where a weight rests, and to how long it stays."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from scipy.integrate import quad

from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.noises import NOISES
from psgd_ref.laws.drawing.strategies import Setting, powers, seeds
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
WALKERS, BURN, STEPS = 4000, 120, 200


NOISE_AS_DECAY = claim(
    "E7",
    "Noise is a decay to the grid",
    "at ε = 0, for noise with ηλ|ĝ| < 1 (no step crosses the target) and a weight that stays in the half "
    "cell, a target attracts it almost surely iff E ln|1−ηλσĝ| < 0 on its side σ = ±1, and holds from both "
    "sides iff both are; for symmetric noise of variance v, ηλ√v small and |g| of the order of ηλv these "
    "means are −η(κ ± λg) with κ = ηλ²v/2, the rates of E5: noise holds a weight where |g| < ηλv/2, under "
    "λ* where |g| < 4ηv/Δ",
    tests=("psgd_step", "formulas.noise_decay", "formulas.hold_factor"),
)


@NOISE_AS_DECAY.holds(
    step=powers(-3, 3),
    per_gap=powers(-2, 2),
    lr=powers(-3, 1),
    size=powers(-2.5, -1.2),
    slope=st.floats(-2, 2),
    share=st.floats(0.05, 0.3),
    k=st.integers(-4, 4),
)
def rates(
    subject: Subject,
    trial: Trial,
    step: float,
    per_gap: float,
    lr: float,
    size: float,
    slope: float,
    share: float,
    k: int,
) -> None:
    """The mean over noise of the change of ln d, on both sides of the target, against decay's."""
    setting = Setting(UniformGrid(step), 0.0, per_gap / step)
    deviation = size / (lr * setting.strength)
    decay = subject.formulas.noise_decay(lr, setting.strength, deviation**2)
    mean = slope * decay / setting.strength  # |g| in units of the threshold κ/λ
    for name, noise in NOISES.items():
        values, chances = noise.values, noise.chances
        skew = abs(float(chances @ values**3))
        error = 5 * size**4 + skew * size**3 / 2 + 64 * rounding.UNIT * (1 + abs(k)) / share
        drifts = []
        for side in (-1.0, 1.0):
            start = np.full(len(values), (k + side * share) * step)
            after = subject.psgd_step(start, mean + deviation * values, lr, setting.warp)
            drifts.append(float(chances @ np.log(np.abs((after - k * step) / (start - k * step)))))
            expected = -lr * (decay + side * setting.strength * mean)
            trial.within(drifts[-1] - expected, error, f"{name} noise: ln d drifts by −η(κ ± λg)")
        if abs(abs(slope) - 1) * size**2 / 2 > error:
            trial.true((max(drifts) < 0) == (abs(slope) < 1), "attracts iff |g| < ηλv/2")
            held = subject.formulas.hold_factor(mean, lr, setting.strength, decay) < 1
            trial.true((max(drifts) < 0) == held, "as decay to the grid does")


@NOISE_AS_DECAY.holds(step=powers(-3, 3), lr=powers(-3, 1), variance=powers(-3, 3))
def threshold(subject: Subject, trial: Trial, step: float, lr: float, variance: float) -> None:
    """Under λ* the threshold is 4ηv/Δ, whatever the unit."""
    strength = 8 / step
    found = subject.formulas.noise_decay(lr, strength, variance) / strength
    trial.within(found / (4 * lr * variance / step) - 1, 1e-12, "under λ* the threshold is 4ηv/Δ")


POWERS = {"psgd": 2.0, "warp": 1.5, "mirror": 1.0}


def _remaining(q: float, eps: float) -> Callable[[Array], Array]:
    """−τ′(x), 0 ≤ x ≤ 1, in units of 1/(η²vλ²) and gaps: 2 s^(q−2) ∫₀^x s^(−q), s = d + ε."""

    def area(d: Array) -> Array:
        return np.asarray(np.log1p(d / eps) if q == 1 else ((d + eps) ** (1 - q) - eps ** (1 - q)) / (1 - q))

    def slope(x: Array) -> Array:
        d = np.minimum(x, 1 - x)
        whole = np.where(x <= 0.5, area(d), 2 * area(np.array(0.5)) - area(d))
        return np.asarray(2 * (d + eps) ** (q - 2) * whole)

    return slope


ESCAPE = claim(
    "E8",
    "How long to the next target",
    "on a flat loss and a lattice, ε > 0, as ηλ√v → 0, a weight takes Δ²/D steps in the mean from a target "
    "to a neighbour, D = η²v/(⟨s^(−q)⟩⟨s^(q−2)⟩), means over a cell, q = 2 (PSGD), 3/2 (warped), 1 "
    "(mirror); for PSGD D = η²v s_min s_max, s_min = λε, s_max = λ(Δ/2+ε): SGD's at the geometric mean of "
    "the extreme scales",
    tests=(
        "psgd_step",
        "warped_step",
        "mirror_step",
        "formulas.effective_diffusion",
        "formulas.escape_time",
    ),
)


@ESCAPE.holds(cost=4, step=powers(-3, 3), per_gap=powers(-2, 2), lr=powers(-3, 1), eps=powers(-3, 0.5))
def closed_form(subject: Subject, trial: Trial, step: float, per_gap: float, lr: float, eps: float) -> None:
    """The mean remaining time τ(w) by quadrature: every step takes one off its mean (Dynkin's formula)."""
    args = (step, eps * step, per_gap / step, lr, 2.0)
    for name, q in POWERS.items():
        slope = _remaining(q, eps)
        kinks = [0.5, min(eps, 0.4), 1 - min(eps, 0.4)]
        time = quad(lambda x, f=slope: float(f(np.array(x))), 0, 1, points=kinks, limit=200)[0]
        time *= step**2 / (2.0 * (lr * per_gap) ** 2)
        found = subject.formulas.escape_time(*args, name)
        trial.within(found / time - 1, 1e-6, f"{name}: Δ²/D is the mean time")
        spread = subject.formulas.effective_diffusion(*args, name)
        trial.within(found * spread / step**2 - 1, 1e-12, f"{name}: D is Δ² over it")
    extremes = eps * (0.5 + eps) * (lr * per_gap) ** 2 * 2.0
    found = subject.formulas.effective_diffusion(*args, "psgd")
    trial.within(found / extremes - 1, 1e-11, "for PSGD D = η²v·s_min·s_max")


@ESCAPE.holds(
    cost=2,
    step=powers(-3, 3),
    per_gap=powers(-2, 2),
    lr=powers(-2, 1),
    size=powers(-3.3, -2),
    eps=powers(-1.5, 0),
    share=st.floats(0.05, 0.45),
    far=st.booleans(),
    k=st.integers(-3, 3),
)
def one_step_less(
    subject: Subject,
    trial: Trial,
    step: float,
    per_gap: float,
    lr: float,
    size: float,
    eps: float,
    share: float,
    far: bool,
    k: int,
) -> None:
    """A step takes one off the mean time that remains, to fourth order."""
    setting = Setting(UniformGrid(step), eps * step, per_gap / step)
    x = 1 - share if far else share
    values, chances = NOISES["normal"].values, NOISES["normal"].chances
    noise = size / (lr * setting.strength) * values
    steps = {"psgd": subject.psgd_step, "warp": subject.warped_step, "mirror": subject.mirror_step}
    for name, one in steps.items():
        after = one(np.full(len(noise), (k + x) * step), noise, lr, setting.warp) / step - k
        half = (after - x) / 2
        mesh = x + half[:, None] * (1 + _NODES)
        fall = (_remaining(POWERS[name], eps)(mesh) @ _WEIGHTS) * half
        less = float(chances @ fall) / size**2
        # Fourth order in the step; rounding of places, in units of one step's share of the time.
        slope = float(_remaining(POWERS[name], eps)(np.array(x)))
        error = 60 * size**2 + 64 * rounding.UNIT * (1 + abs(k)) * slope / size**2
        trial.within(less - 1, error, f"{name}: a step takes one off the mean time that remains")


BIAS = claim(
    "E9",
    "Noise biases the mean towards the target",
    "in any stationary state with a finite mean E[s(w)g(w)] = 0 exactly; so on ½h(w − c)², with noise so "
    "small that the weight stays in its cell on c's side of the target, E w = c − Cov(s, w)/E s = c − "
    "σηλv/2h to first order in η: towards the target, at ε = 0 as decay to the grid with κ = ηλ²v/2 "
    "would have it",
    tests=("psgd_step", "formulas.noise_bias"),
)


@BIAS.holds(
    cost=25,
    seed=seeds,
    step=powers(-2, 2),
    d=st.floats(0.2, 0.3),
    eps=st.sampled_from([0.0, 0.02, 0.1]),
    curvature=powers(-1, 1),
    rate=st.floats(0.05, 0.15),
    up=st.booleans(),
)
def stationary(
    subject: Subject,
    trial: Trial,
    seed: int,
    step: float,
    d: float,
    eps: float,
    curvature: float,
    rate: float,
    up: bool,
) -> None:
    """Thousands of weights in the stationary state, to 6 standard errors; E7's decay has the same bias."""
    setting = Setting(UniformGrid(step), eps * step, 8 / step)
    side, scale = (1.0 if up else -1.0), 8 * (d + eps)
    lr = rate / (curvature * scale)
    # A spread of 0.03 gaps around c: Var w = ηsv/2h.
    deviation = 0.03 * step * np.sqrt(2 * curvature / (lr * scale))
    rng, c = np.random.default_rng(seed), side * d * step
    w, means, balance = np.full(WALKERS, c), np.zeros(WALKERS), np.zeros(WALKERS)
    for k in range(BURN + STEPS):
        if k >= BURN:
            means += w / STEPS
            balance += setting.warp.scale(w) * curvature * (w - c) / STEPS
        g = curvature * (w - c) + deviation * rng.standard_normal(WALKERS)
        w = subject.psgd_step(w, g, lr, setting.warp)
    error = 6 * balance.std() / np.sqrt(WALKERS)
    # What is left of the start after BURN steps: e^(−rate·BURN) of the bias, below a share of 0.003.
    bias = subject.formulas.noise_bias(lr, setting.strength, deviation**2, curvature)
    trial.within(balance.mean(), error + 0.003 * curvature * scale * bias, "E[s g] = 0")
    found = float((c - means).mean()) * side
    error = 6 * means.std() / np.sqrt(WALKERS)
    trial.within(found - bias, error + (rate + 0.05) * bias, "E w = c − σηλv/2h, towards the target")


@BIAS.holds(lr=powers(-3, 1), strength=powers(-2, 2), variance=powers(-3, 3), curvature=powers(-2, 2))
def as_decay(
    subject: Subject, trial: Trial, lr: float, strength: float, variance: float, curvature: float
) -> None:
    """The bias is that of decay to the grid with κ = ηλ²v/2."""
    found = subject.formulas.noise_bias(lr, strength, variance, curvature)
    decay = subject.formulas.noise_decay(lr, strength, variance)
    trial.within(found * strength * curvature / decay - 1, 1e-12, "it is κ/(λh), the bias of that decay")
