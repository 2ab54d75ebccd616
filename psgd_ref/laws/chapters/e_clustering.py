"""Chapter E: why weights cluster."""

import functools
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.integrate import quad

from psgd_ref.core import UniformGrid, Zero
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.strategies import Setting, powers, seeds
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Step, Subject
from psgd_ref.laws.trial import Trial

PARTICLES = 4000
FALSE_ALARM = 1e-6
# Kolmogorov–Smirnov, one sample, by the Dvoretzky–Kiefer–Wolfowitz inequality: P(D > critical) ≤ FALSE_ALARM.
CRITICAL = float(np.sqrt(np.log(2 / FALSE_ALARM) / (2 * PARTICLES)))

# Phases of (ηλ√v, steps): large steps to spread the weights, small ones to come near the limit η → 0.
_PHASES = ((0.15, 300), (0.05, 300))


def _distances(step: Step, setting: Setting, seed: int, tilt: float = 0.0) -> Array:
    """Distances from the target, in gaps, of PARTICLES weights that noise has moved for a long time.

    `tilt` slopes the loss alike on both sides of every target, a = tilt·ηλv/2 away from it: by symmetry
    nothing then flows through targets and walls, which a density inside one cell supposes.
    """
    rng, warp, unit = np.random.default_rng(seed), setting.warp, setting.unit
    w: Array = rng.uniform(-0.5, 0.5, PARTICLES) * unit
    for noise, steps in _PHASES:
        deviation, slope = noise / setting.strength, tilt * noise**2 / (2 * setting.strength)
        for _ in range(steps):
            away = np.sign(w - setting.targets.nearest(w))
            w = step(w, slope * away + deviation * rng.choice([-1.0, 1.0], PARTICLES), 1.0, warp)
    return np.asarray(np.sort(np.abs(w - setting.targets.nearest(w))) / unit)


def _ks(sample: Array, cdf: Array) -> float:
    """The Kolmogorov–Smirnov distance, cdf taken at the sorted sample."""
    rank = np.arange(len(sample) + 1) / len(sample)
    return float(max(np.abs(cdf - rank[1:]).max(), np.abs(cdf - rank[:-1]).max()))


_numbers: dict[str, Any] = {
    "step": powers(-3, 3),
    "eps": st.floats(0.03, 0.1),
    "strength": powers(-2, 2),
    "seed": seeds,
}


@claim(
    "E1",
    "Stationary densities",
    "on a flat loss with gradient noise of variance v, as η → 0, the density inside a cell is ∝ s⁻² (PSGD), "
    "s^(−3/2) (warped), s⁻¹ (mirror); with a slope and no flow of probability times exp(−(2/ηv)∫L′/s)",
    tests=(
        "psgd_step",
        "warped_step",
        "mirror_step",
        "formulas.stationary_cdf",
        "formulas.stationary_log_density",
    ),
)
def stationary(subject: Subject, trial: Trial) -> None:
    """Simulations under a Kolmogorov–Smirnov test (false alarms: 1 in 10⁶); wrong exponents rejected."""
    steps = {"psgd": subject.psgd_step, "warp": subject.warped_step, "mirror": subject.mirror_step}

    @trial.holds(cost=100, **_numbers)
    def flat(step: float, eps: float, strength: float, seed: int) -> None:
        setting = Setting(UniformGrid(step), eps * step, strength / step)
        for name, one in steps.items():
            d = _distances(one, setting, seed)
            for law in steps:
                # The density is even: |offset| has the distribution function 2F − 1.
                distance = _ks(d, 2 * subject.formulas.stationary_cdf(d, 0.5, eps, law) - 1)
                if law == name:
                    trial.at_most(distance, CRITICAL, 0.0, f"{name}: the density is the stated power of s")
                else:
                    trial.at_most(CRITICAL, distance, 0.0, f"{name}: the power of {law} is rejected")

    @trial.holds(cost=100, tilt=st.sampled_from([-1.0, -0.5, 0.5, 1.0]), **_numbers)
    def sloping(tilt: float, step: float, eps: float, strength: float, seed: int) -> None:
        setting = Setting(UniformGrid(step), eps * step, strength / step)
        mesh = np.concatenate([[0.0], np.geomspace(1e-6, 0.5, 3000)])
        for name, one in steps.items():
            d = _distances(one, setting, seed, tilt)
            # With η = v = 1 and lengths in gaps the tilt belongs to the slope a = tilt·λ/2.
            args = (eps, strength, tilt * strength / 2, 1.0, 1.0, name)
            log = subject.formulas.stationary_log_density(mesh, *args)
            mirrored = (eps, strength, -tilt * strength / 2, 1.0, 1.0, name)
            even = log - subject.formulas.stationary_log_density(-mesh, *mirrored)
            trial.within(even, 1e-9 * (1 + np.abs(log)), f"{name}: mirrored slope, mirrored density")
            cdf = np.concatenate([[0.0], np.cumsum((np.exp(log)[1:] + np.exp(log)[:-1]) / 2 * np.diff(mesh))])
            distance = _ks(d, np.interp(d, mesh, cdf / cdf[-1]))
            trial.at_most(distance, CRITICAL, 0.0, f"{name}: the density with a slope")


@claim(
    "E2",
    "Drift of ln d",
    "at ε = 0 gradient noise alone moves ln d by −η²λ²v/2 (PSGD), −η²λ²v/4 (warped), 0 (mirror) per step on "
    "average; without noise nothing moves",
    tests=("psgd_step", "warped_step", "mirror_step", "formulas.log_distance_drift"),
)
def drift(subject: Subject, trial: Trial) -> None:
    """The mean over noise of two values, and of normal noise by Gauss–Hermite quadrature, to O((ηλ√v)⁴)."""
    steps = {"psgd": subject.psgd_step, "warp": subject.warped_step, "mirror": subject.mirror_step}
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    two = (np.array([-1.0, 1.0]), np.array([0.5, 0.5]))
    noises = {"two-valued": two, "normal": (nodes, weights / weights.sum())}
    numbers: dict[str, Any] = {"lr": powers(-3, 1), "size": powers(-2.5, -1.2), "share": st.floats(0.05, 0.3)}

    @trial.holds(
        step=powers(-3, 3), strength=powers(-2, 2), k=st.integers(-8, 8), up=st.booleans(), **numbers
    )
    def mean(step: float, strength: float, lr: float, size: float, k: int, share: float, up: bool) -> None:
        setting = Setting(UniformGrid(step), 0.0, strength / step)
        start = np.array([k + (share if up else -share)]) * step
        deviation = size / (lr * setting.strength)
        before = np.log(np.abs(start - k * step))
        error = 64 * rounding.UNIT * (1 + abs(k)) / share
        for noise, (values, chances) in noises.items():
            for name, one in steps.items():
                after = one(np.repeat(start, len(values)), deviation * values, lr, setting.warp)
                moved = chances @ np.log(np.abs(after - k * step)) - before
                expected = subject.formulas.log_distance_drift(lr, setting.strength, deviation**2, name)
                trial.within(moved - expected, 3 * size**4 + error, f"{name}: drift of ln d, {noise} noise")
                rest = one(start, 0 * start, lr, setting.warp)
                trial.within(
                    rest - start, 32 * rounding.UNIT * (1 + abs(k)) * step, f"{name}: no noise, no drift"
                )


@claim(
    "E3",
    "Expected quantization error",
    "under E1 for PSGD, h = Δ/2, c = 1/ε − 1/(h+ε): E d² = (h − 2ε ln((h+ε)/ε) + ε²c)/c, against Δ²/12 for a "
    "uniform weight",
    tests=("psgd_step", "formulas.expected_squared_error"),
)
def squared_error(subject: Subject, trial: Trial) -> None:
    """The closed form by quadrature, its limits, and a simulation within 6 standard errors."""

    @trial.holds(half=powers(-3, 3), share=powers(-5, 4))
    def closed_form(half: float, share: float) -> None:
        eps = share * half
        value = subject.formulas.expected_squared_error(half, eps)
        corner = [min(1.0, share)]
        mass = quad(lambda x: (x + share) ** -2, 0, 1, points=corner, epsabs=0, epsrel=1e-12, limit=200)[0]
        square = quad(
            lambda x: (x / (x + share)) ** 2, 0, 1, points=corner, epsabs=0, epsrel=1e-12, limit=200
        )[0]
        trial.within(value / (half**2 * square / mass) - 1, 1e-9, "E d² in closed form")
        trial.at_most(value, half**2 / 3, 1e-9 * half**2, "at most that of a uniform weight, Δ²/12")

    @trial.holds(cost=100, **_numbers)
    def simulated(step: float, eps: float, strength: float, seed: int) -> None:
        d = _distances(subject.psgd_step, Setting(UniformGrid(step), eps * step, strength / step), seed)
        expected = subject.formulas.expected_squared_error(0.5, eps)
        error = np.std(d**2) / np.sqrt(PARTICLES)
        # What a finite step size leaves: of the order of ηλ√v, which is 0.05 in the last phase.
        trial.within(np.mean(d**2) - expected, 6 * error + 0.05 * expected, "E d² in a simulation")


@claim(
    "E4",
    "Weight decay",
    "unscaled decay κ with T = {0}, ε = 0 is LASSO of strength κ/λ: the fixed point is the soft threshold; "
    "on a grid it holds weights d = κ|w|/(λ|g|) off nonzero targets, on the zero side",
    tests=("psgd_step", "decayed_step", "formulas.soft_threshold", "formulas.decay_equilibrium"),
)
def weight_decay(subject: Subject, trial: Trial) -> None:
    """PSGD with decay outside the scaling, run to rest: a quadratic at zero, a constant push at a target."""

    def rest(
        w: Array, setting: Setting, gradient: functools.partial[Array], lr: float, weight_decay: float
    ) -> Array:
        for _ in range(400):
            w = subject.decayed(w, gradient(w), lr, setting.warp, weight_decay)
        return w

    def pull(h: float, c: Array, w: Array) -> Array:
        return h * (w - c)

    @trial.holds(cost=10, h=powers(-2, 2), strength=powers(-2, 2), size=powers(-2, 2), seed=seeds)
    def lasso(h: float, strength: float, size: float, seed: int) -> None:
        threshold, setting = size, Setting(Zero(), 0.0, strength)
        weight_decay = threshold * strength * h
        # At |c| = threshold convergence is slower than geometric: stay 30 % away on both sides.
        rng = np.random.default_rng(seed)
        c = (
            threshold
            * np.concatenate([rng.uniform(0.2, 0.7, 3), rng.uniform(1.3, 4, 3)])
            * rng.choice([-1, 1], 6)
        )
        lr = 0.4 / (strength * h * np.abs(c).max() + weight_decay)
        w = rest(c * rng.uniform(0.3, 1, 6), setting, functools.partial(pull, h, c), lr, weight_decay)
        expected = subject.formulas.soft_threshold(c, weight_decay / (strength * h))
        trial.within(w - expected, 5e-3 * np.abs(c), "the fixed point is the soft threshold")
        still = subject.decayed(expected, h * (expected - c), lr, setting.warp, weight_decay)
        trial.within(still - expected, 1e-13 * np.abs(c), "the soft threshold is fixed")

    def constant(g: float, w: Array) -> Array:
        return np.full_like(w, g)

    places = {"k": st.integers(1, 7), "share": st.floats(0.01, 0.4), "up": st.booleans()}

    @trial.holds(cost=10, step=powers(-2, 2), strength=powers(-2, 2), **places)
    def shoulder(step: float, strength: float, k: int, share: float, up: bool) -> None:
        setting = Setting(UniformGrid(step), 0.0, strength / step)
        side = 1.0 if up else -1.0
        target, push = side * k * step, 0.5 + share
        # κ for which the equilibrium lies at that share of the gap.
        weight_decay = share / (k - share) * setting.strength * push
        lr = 0.2 / (setting.strength * push + weight_decay)
        w = rest(
            np.array([target - side * 0.2 * step]),
            setting,
            functools.partial(constant, -side * push),
            lr,
            weight_decay,
        )
        d = subject.formulas.decay_equilibrium(target, -side * push, setting.strength, weight_decay)
        trial.within((target - w) * side - d, 1e-6 * step, "weights rest on the zero side of a target")
        trial.within(d - weight_decay * np.abs(w) / (setting.strength * push), 1e-6 * step, "d = κ|w|/(λ|g|)")
