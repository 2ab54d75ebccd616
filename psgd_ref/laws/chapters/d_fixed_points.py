"""Chapter D, second half: where PSGD comes to rest."""

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import brentq, lsq_linear

from psgd_ref.core import UniformGrid, Warp
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing import rounding
from psgd_ref.laws.drawing.losses import Quadratic
from psgd_ref.laws.drawing.strategies import Placed, Setting, placed, powers, seeds, setups, target_sets
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Step, Subject
from psgd_ref.laws.trial import Trial

_several = target_sets(several=True)
_inside = placed(setups(_several, eps="zero", cap=False), beyond=0.0)
_one = placed(setups(_several, eps="zero", cap=False), size=1, beyond=0.0)
_one_with_eps = placed(setups(_several, eps="positive", cap=False), size=1, beyond=0.0)


@claim(
    "D5",
    "Fixed points",
    "for ε > 0 the fixed points are exactly the critical points of L, so PSGD adds no bias and is no "
    "penalty; for ε = 0 every target is fixed as well, and only s_i g_i² → 0",
    tests=("psgd_step",),
)
def fixed_points(subject: Subject, trial: Trial) -> None:
    """No step without a gradient, a step of ηλε|g| at least with one, and rest on targets at ε = 0."""

    @trial.holds(at=placed(setups(eps="positive")), t=st.floats(0.01, 1), up=st.booleans())
    def critical_points(at: Placed, t: float, up: bool) -> None:
        setting, w = at.setting, at.w
        g = np.full_like(w, (t if up else -t) / setting.strength)
        still = subject.psgd_step(w, 0 * g, 1.0, setting.warp) - w
        trial.within(still, rounding.FLUSHED, "critical points are fixed")
        moved = (w - subject.psgd_step(w, g, 1.0, setting.warp)) * np.sign(g)
        error = rounding.in_step(setting.warp, w, g, 1.0)
        trial.at_most(t * setting.eps, moved, error, "elsewhere every weight moves by ηλε|g| or more")

    @trial.holds(at=_inside, seed=seeds)
    def targets(at: Placed, seed: int) -> None:
        setting, w = at.setting, at.setting.targets.nearest(at.w)
        g = np.random.default_rng(seed).standard_normal(w.shape) / setting.strength
        still = subject.psgd_step(w, g, 1.0, setting.warp) - w
        trial.within(still, rounding.FLUSHED, "every target is fixed at ε = 0")


@claim(
    "D6",
    "The barrier",
    "at ε = 0, on a fixed grid, without momentum and with ηλ|g_i| < 1 no weight leaves its inter-target "
    "interval; for convex L the limit minimises L over that box, for the flow "
    "L(w(t)) − L_box ≤ D_Φ(w_box, w₀)/t",
    tests=("psgd_step", "mirror_step", "formulas.target_interval", "formulas.mirror_divergence"),
)
def barrier(subject: Subject, trial: Trial) -> None:
    """The barrier under any gradients, its two failures, and the box solution."""

    def leaves(w: Array, box: tuple[Array, Array], setting: Setting) -> None:
        low, high = box
        error = 8 * rounding.UNIT * np.abs(w) + rounding.TINY
        trial.at_most(
            np.maximum(low - w, w - high) / setting.unit, 0.0, error / setting.unit, "w stays in its box"
        )

    @trial.holds(at=placed(setups(eps="zero")), seed=seeds, steps=st.integers(1, 8))
    def stays(at: Placed, seed: int, steps: int) -> None:
        setting, w = at.setting, at.w
        box = subject.formulas.target_interval(w, setting.targets)
        rng = np.random.default_rng(seed)
        for _ in range(steps):
            t = rng.choice([-0.999, 0.999, rng.uniform(-0.999, 0.999)], w.shape)
            w = subject.psgd_step(w, t / setting.strength, 1.0, setting.warp)
            leaves(w, box, setting)

    @trial.refutes(
        at=placed(setups(target_sets(several=True), eps="positive", cap=False), size=1, beyond=0.0)
    )
    def stays_with_eps(at: Placed) -> None:
        """With ε > 0, too, no weight leaves."""
        box = subject.formulas.target_interval(at.w, at.setting.targets)
        g = np.full_like(at.w, 0.9 / at.setting.strength)
        leaves(subject.psgd_step(at.w, g, 1.0, at.setting.warp), box, at.setting)

    @trial.refutes(at=_one)
    def stays_with_momentum(at: Placed) -> None:
        """With momentum, too, no weight leaves."""
        setting, w, velocity = at.setting, at.w, np.zeros_like(at.w)
        box = subject.formulas.target_interval(w, setting.targets)
        for _ in range(12):
            move = subject.psgd_step(w, np.full_like(w, 0.9 / setting.strength), 1.0, setting.warp) - w
            velocity = 0.9 * velocity + move
            w = w + velocity
            leaves(w, box, setting)

    @trial.holds(
        cost=8, seed=seeds, n=st.integers(1, 5), step=powers(-3, 3), levels=st.sampled_from([None, 2, 7])
    )
    def box_solution(seed: int, n: int, step: float, levels: int | None) -> None:
        rng, loss = np.random.default_rng(seed), Quadratic(seed, n, step, spread=1.0)
        setting = Setting(UniformGrid(step, levels), 0.0, 8 / step)
        w0 = (rng.integers(-2, 2, n) + rng.uniform(0.2, 0.8, n)) * step
        low, high = subject.formulas.target_interval(w0, setting.targets)
        root = np.linalg.cholesky(loss.parts[0]).T
        best = lsq_linear(root, root @ loss.parts[1], bounds=(low, high), method="bvls").x.clip(low, high)
        least = loss.value(best)
        reach = np.abs(loss.parts[0]) @ (np.abs(loss.parts[1]) + 4 * step)
        # Both conditions of the bound at once: ηβS ≤ 1 and, for PSGD, steps as small as the flow's.
        rates = {"mirror": 1 / (loss.smoothness * 4), "psgd": 0.1 / (8 / step * reach.max())}
        divergence = subject.formulas.mirror_divergence(best, w0, setting.targets, setting.strength)
        for name, one in (("mirror", subject.mirror_step), ("psgd", subject.psgd_step)):
            w = _run(one, loss.gradient, w0, rates[name], setting.warp, 150)
            bound = subject.formulas.box_bound(divergence, rates[name] * 150)
            noise = 1e-9 * (loss.value(w0) + step**2)
            statement = f"{name}: L(w_K) − L_box ≤ D_Φ(w_box, w₀)/(ηK)"
            trial.at_most(loss.value(w) - least, bound, noise, statement)
            trial.at_most(least - loss.value(w), 0.0, noise, f"{name}: nothing in the box is better")


def _run(
    step: Step, gradient: Callable[[Array], Array], w: Array, lr: float, warp: Warp, steps: int
) -> Array:
    for _ in range(steps):
        w = step(w, gradient(w), lr, warp)
    return w


@claim(
    "D7",
    "Equal basins in one dimension",
    "the one-dimensional flow has the basins of gradient descent, and so have steps with ηβS ≤ 1 (ε > 0): "
    "only time is rescaled; in two dimensions basins do change",
    tests=("psgd_step",),
)
def basins(subject: Subject, trial: Trial) -> None:
    """Steps that never pass a critical point of a wavy loss, and a start in the plane that changes basin."""
    setups_1d = {"step": powers(-2, 2), "eps": powers(-2, 0), "share": st.floats(0.3, 1.0)}

    @trial.holds(cost=4, seed=seeds, **setups_1d)
    def one_dimension(seed: int, step: float, eps: float, share: float) -> None:
        rng = np.random.default_rng(seed)
        k, a, phase = np.arange(1, 4) * 2 / step, rng.uniform(0.2, 1, 3), rng.uniform(0, 2 * np.pi, 3)

        def slope(w: Array) -> Array:
            return np.asarray(np.sin(np.multiply.outer(w, k) + phase) @ (a * k))

        mesh = np.linspace(-4 * step, 4 * step, 801)
        signs = np.flatnonzero(np.diff(np.sign(slope(mesh))))
        roots = np.array([brentq(lambda x: float(slope(np.array(x))), mesh[i], mesh[i + 1]) for i in signs])
        start = rng.uniform(roots[0], roots[-1], 30)
        setting = Setting(UniformGrid(step), eps * step, 8 / step)
        top = subject.formulas.largest_scale(step, setting.eps, setting.strength)
        lr = share * subject.formulas.largest_step(float(np.sum(a * k**2)), top)
        # Next to a root the rounding of its position decides; leave those starts out.
        clear = np.abs(start[:, None] - roots).min(axis=1) > 1e-6 * step
        w = start[clear]
        for _ in range(30):
            before, w = w, subject.psgd_step(w, slope(w), lr, setting.warp)
            settled = np.abs(before[:, None] - roots).min(axis=1) < 1e-9 * step
            trial.true(settled | ((w - before) * slope(before) < 0), "every step goes downhill")
            k_next = np.searchsorted(roots, before) - (slope(before) > 0)
            room = np.abs(roots[np.clip(k_next, 0, len(roots) - 1)] - before)
            moved = np.where(settled, 0.0, np.abs(w - before))
            trial.at_most(moved, room, 1e-9 * step, "no step passes a critical point: the basins are equal")

    @trial.refutes(angle=st.floats(0.2, 1.3), u=st.floats(-0.3, 0.3), v=st.floats(-1, 1))
    def two_dimensions(angle: float, u: float, v: float) -> None:
        """In two dimensions, too, the flow has the basins of gradient descent."""
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

        def slope(w: Array) -> Array:
            # L = (u² − 1)²/4 + v²/2 in turned coordinates: two minima, u = ±1; GD keeps the sign of u.
            u, v = turn @ w
            return np.asarray(np.array([u**3 - u, v]) @ turn)

        setting = Setting(UniformGrid(1.0), 0.01, 2.0)
        start = np.array([u, v]) @ turn
        end = _run(subject.psgd_step, slope, start, 0.2, setting.warp, 60)
        trial.true((turn @ end)[0] * u >= 0, "PSGD ends in the basin of gradient descent")
