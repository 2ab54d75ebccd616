"""Chapter E: why weights cluster."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.integrate import quad

from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.noises import NOISES
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


def _distances(step: Step, setting: Setting, seed: int, kind: str, tilt: float = 0.0) -> Array:
    """Distances from the target, in gaps, of PARTICLES weights that noise has moved for a long time.

    `tilt` slopes the loss alike on both sides of every target, a = tilt·ηλv/2 away from it: by symmetry
    nothing then flows through targets and walls, which a density inside one cell supposes. The noise, too,
    is turned with the side, so that a skewed one is skewed towards the wall.
    """
    rng, warp, unit, noise = np.random.default_rng(seed), setting.warp, setting.unit, NOISES[kind]
    w: Array = rng.uniform(-0.5, 0.5, PARTICLES) * unit
    for size, steps in _PHASES:
        deviation, slope = size / setting.strength, tilt * size**2 / (2 * setting.strength)
        for _ in range(steps):
            away = np.sign(w - setting.targets.nearest(w))
            g = slope * away + deviation * (away + (away == 0)) * noise.draw(rng, PARTICLES)
            w = step(w, g, 1.0, warp)
    return np.asarray(np.sort(np.abs(w - setting.targets.nearest(w))) / unit)


def _ks(sample: Array, cdf: Array) -> float:
    """The Kolmogorov–Smirnov distance, cdf taken at the sorted sample."""
    rank = np.arange(len(sample) + 1) / len(sample)
    return float(max(np.abs(cdf - rank[1:]).max(), np.abs(cdf - rank[:-1]).max()))


_numbers: dict[str, Any] = {
    "step": powers(-3, 3),
    "eps": st.floats(0.03, 0.1),
    "strength": powers(-2, 2),
    "kind": st.sampled_from(["two-valued", "normal"]),
    "seed": seeds,
}


def _steps(subject: Subject) -> dict[str, Step]:
    return {"psgd": subject.psgd_step, "warp": subject.warped_step, "mirror": subject.mirror_step}


STATIONARY = claim(
    "E1",
    "Stationary densities",
    "on a flat loss, with ε > 0 and independent gradient noise of mean 0 whose variance v is constant in the "
    "cell, as ηλ√v → 0, the density inside a cell (cells alike, or walls that reflect) is ∝ s⁻² (PSGD), "
    "s^(−3/2) (warped), s⁻¹ (mirror); with a slope L′ = O(ηλv) and no flow of probability times "
    "exp(−(2/ηv)∫L′/s)",
    tests=(
        "psgd_step",
        "warped_step",
        "mirror_step",
        "formulas.stationary_cdf",
        "formulas.stationary_log_density",
    ),
)


@STATIONARY.holds(cost=100, **_numbers)
def flat(
    subject: Subject, trial: Trial, step: float, eps: float, strength: float, kind: str, seed: int
) -> None:
    """Simulations under a Kolmogorov–Smirnov test (false alarms: 1 in 10⁶); wrong exponents rejected."""
    setting = Setting(UniformGrid(step), eps * step, strength / step)
    for name, one in _steps(subject).items():
        d = _distances(one, setting, seed, kind)
        for law in _steps(subject):
            # The density is even: |offset| has the distribution function 2F − 1.
            distance = _ks(d, 2 * subject.formulas.stationary_cdf(d, 0.5, eps, law) - 1)
            if law == name:
                trial.at_most(distance, CRITICAL, 0.0, f"{name}: the density is the stated power of s")
            else:
                trial.at_most(CRITICAL, distance, 0.0, f"{name}: the power of {law} is rejected")
        ends = subject.formulas.stationary_cdf(np.array([-0.5, 0.0, 0.5]), 0.5, eps, name)
        trial.within(ends - [0.0, 0.5, 1.0], 1e-12, f"{name}: 0, ½ and 1 at the walls and the target")
        even = subject.formulas.stationary_cdf(-d[::100], 0.5, eps, name)
        even = even + subject.formulas.stationary_cdf(d[::100], 0.5, eps, name)
        trial.within(even - 1, 1e-12, f"{name}: the density is even")


@STATIONARY.holds(cost=100, tilt=st.sampled_from([-1.0, -0.5, 0.5, 1.0]), **_numbers)
def sloping(
    subject: Subject,
    trial: Trial,
    tilt: float,
    step: float,
    eps: float,
    strength: float,
    kind: str,
    seed: int,
) -> None:
    """The same with a slope of the order of ηλv."""
    setting = Setting(UniformGrid(step), eps * step, strength / step)
    mesh = np.concatenate([[0.0], np.geomspace(1e-6, 0.5, 3000)])
    for name, one in _steps(subject).items():
        d = _distances(one, setting, seed, kind, tilt)
        # With η = v = 1 and lengths in gaps the tilt belongs to the slope a = tilt·λ/2.
        args = (eps, strength, tilt * strength / 2, 1.0, 1.0, name)
        log = subject.formulas.stationary_log_density(mesh, *args)
        mirrored = (eps, strength, -tilt * strength / 2, 1.0, 1.0, name)
        even = log - subject.formulas.stationary_log_density(-mesh, *mirrored)
        trial.within(even, 1e-9 * (1 + np.abs(log)), f"{name}: mirrored slope, mirrored density")
        power = 2 - 2 * subject.formulas.second_order_coefficient(name)
        form = -power * np.log(mesh + eps) - tilt * np.log1p(mesh / eps)
        error = 1e-9 * (1 + np.abs(log) + np.abs(form))
        trial.within(log - log[0] - (form - form[0]), error, f"{name}: −q ln s − (2/ηv)∫L′/s")
        cdf = np.concatenate([[0.0], np.cumsum((np.exp(log)[1:] + np.exp(log)[:-1]) / 2 * np.diff(mesh))])
        distance = _ks(d, np.interp(d, mesh, cdf / cdf[-1]))
        trial.at_most(distance, CRITICAL, 0.0, f"{name}: the density with a slope")


DRIFT = claim(
    "E2",
    "Drift of ln d",
    "at ε = 0, on a flat loss and for steps within the half cell, gradient noise ξ of mean 0 and variance "
    "v alone moves ln d by −η²λ²v/2 (PSGD), −η²λ²v/4 (warped), 0 (mirror) per step on average, up to "
    "O((ηλ√v)⁴) for symmetric and O((ηλ√v)³) for skewed noise; PSGD's exact drift E ln|1 − ηλξ| turns "
    "positive at ηλ√v = √2 for noise ±√v; without noise nothing moves",
    tests=("psgd_step", "warped_step", "mirror_step", "formulas.log_distance_drift"),
)


@DRIFT.holds(
    step=powers(-3, 3),
    strength=powers(-2, 2),
    lr=powers(-3, 1),
    size=powers(-2.5, -1.2),
    k=st.integers(-8, 8),
    share=st.floats(0.05, 0.3),
    up=st.booleans(),
)
def mean(
    subject: Subject,
    trial: Trial,
    step: float,
    strength: float,
    lr: float,
    size: float,
    k: int,
    share: float,
    up: bool,
) -> None:
    """The mean over noise of two values, normal noise by Gauss–Hermite quadrature, and skewed noise."""
    setting = Setting(UniformGrid(step), 0.0, strength / step)
    start = np.array([k + (share if up else -share)]) * step
    deviation = size / (lr * setting.strength)
    before = np.log(np.abs(start - k * step))
    error = 64 * rounding.UNIT * (1 + abs(k)) / share
    for kind, noise in NOISES.items():
        # The next terms: E ξ⁴/4 ≤ 3/4 of size⁴, and of skewed noise E ξ³/3 of size³.
        most = 3 * size**4 + 0.6 * size**3 * (kind == "skewed")
        for name, one in _steps(subject).items():
            after = one(np.repeat(start, len(noise.values)), deviation * noise.values, lr, setting.warp)
            moved = noise.chances @ np.log(np.abs(after - k * step)) - before
            expected = subject.formulas.log_distance_drift(lr, setting.strength, deviation**2, name)
            trial.within(moved - expected, most + error, f"{name}: drift of ln d, {kind} noise")
            rest = one(start, 0 * start, lr, setting.warp)
            small = 32 * rounding.UNIT * (1 + abs(k)) * step
            trial.within(rest - start, small, f"{name}: no noise, no drift")


@DRIFT.holds(size=st.floats(0.1, 3.0), share=powers(-6, -1), step=powers(-3, 3), up=st.booleans())
def large_noise(subject: Subject, trial: Trial, size: float, share: float, step: float, up: bool) -> None:
    """PSGD's drift at any size of two-valued noise, ½ ln|1 − (ηλ√v)²|: to targets below √2, away above."""
    setting = Setting(UniformGrid(step), 0.0, 8 / step)
    start = np.array([share if up else -share]) * step
    after = subject.psgd_step(
        np.repeat(start, 2), np.array([-size, size]) / setting.strength, 1.0, setting.warp
    )
    moved, rest = np.log(np.abs(after / start)).mean(), abs(1 - size**2)
    if rest < 1e-9:
        trial.true(moved < -9, "at ηλ√v = 1 every other step lands on the target")
        return
    trial.within(moved - 0.5 * np.log(rest), 1e-12 / rest, "the drift is E ln|1 − ηλξ|")
    trial.true((moved < 0) | (size > np.sqrt(2) - 1e-9), "below ηλ√v = √2 noise draws weights to targets")


SQUARED_ERROR = claim(
    "E3",
    "Expected quantization error",
    "under E1 for PSGD (ε > 0), h = Δ/2, c = 1/ε − 1/(h+ε): E d² = (h − 2ε ln((h+ε)/ε) + ε²c)/c, against "
    "Δ²/12 for a uniform weight",
    tests=("psgd_step", "formulas.expected_squared_error"),
)


@SQUARED_ERROR.holds(half=powers(-3, 3), share=powers(-5, 4))
def closed_form(subject: Subject, trial: Trial, half: float, share: float) -> None:
    """The closed form by quadrature, and its limit."""
    eps = share * half
    value = subject.formulas.expected_squared_error(half, eps)
    corner = [min(1.0, share)]
    options: dict[str, Any] = {"points": corner, "epsabs": 0, "epsrel": 1e-12, "limit": 200}
    mass = quad(lambda x: (x + share) ** -2, 0, 1, **options)[0]
    square = quad(lambda x: (x / (x + share)) ** 2, 0, 1, **options)[0]
    trial.within(value / (half**2 * square / mass) - 1, 1e-9, "E d² in closed form")
    trial.at_most(value, half**2 / 3, 1e-9 * half**2, "at most that of a uniform weight, Δ²/12")


@SQUARED_ERROR.holds(cost=100, **_numbers)
def simulated(
    subject: Subject, trial: Trial, step: float, eps: float, strength: float, kind: str, seed: int
) -> None:
    """A simulation, within 6 standard errors."""
    setting = Setting(UniformGrid(step), eps * step, strength / step)
    d = _distances(subject.psgd_step, setting, seed, kind)
    expected = subject.formulas.expected_squared_error(0.5, eps)
    error = np.std(d**2) / np.sqrt(PARTICLES)
    # What a finite step size leaves: of the order of ηλ√v, which is 0.05 in the last phase.
    trial.within(np.mean(d**2) - expected, 6 * error + 0.05 * expected, "E d² in a simulation")
