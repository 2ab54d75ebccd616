"""Chapter F, last claim: stability with momentum."""

import numpy as np
from hypothesis import strategies as st

from psgd_ref.core import UniformGrid
from psgd_ref.core.arguments import Array
from psgd_ref.laws.drawing.losses import Quadratic
from psgd_ref.laws.drawing.strategies import Setting, powers, seeds
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

MOMENTUM_STABILITY = claim(
    "F4",
    "Stability with momentum",
    "at a minimum with H ≻ 0 and s > 0, PSGD with momentum m, in both orders, is stable iff ηλ_max(H_Y) < "
    "2(1 + m)",
    source="ours; without the scale textbook",
    tests=("psgd_step", "momentum_step", "formulas.largest_stable_momentum_step"),
)


@MOMENTUM_STABILITY.holds(
    cost=4,
    seed=seeds,
    n=st.integers(1, 4),
    step=powers(-1, 1),
    eps=powers(-1, 0.5),
    m=st.sampled_from([0.0, 0.3, 0.9, 0.99]),
    on_targets=st.booleans(),
    order=st.sampled_from(["before", "after"]),
)
def threshold(
    subject: Subject,
    trial: Trial,
    seed: int,
    n: int,
    step: float,
    eps: float,
    m: float,
    on_targets: bool,
    order: str,
) -> None:
    """The spectral radius of the step's own derivative, 2 % on both sides of the threshold."""
    rng, hessian = np.random.default_rng(seed), Quadratic(seed, n, step).parts[0]
    setting = Setting(UniformGrid(step), eps * step, 8 / step)
    offset = 0.0 if on_targets else rng.uniform(0.1, 0.4, n) * rng.choice([-1, 1], n)
    best = (rng.integers(-2, 3, n) + offset) * step
    warped = subject.formulas.warped_hessian(hessian, np.zeros(n), best, setting.warp)
    limit = subject.formulas.largest_stable_momentum_step(warped, m)
    for share in (0.98, 1.02):

        def move(x: Array, lr: float = share * limit) -> Array:
            # Velocities in units in which both orders' are of the size of the weights.
            w, velocity = x[:n], x[n:] / (lr if order == "after" else 1.0)
            g = hessian @ (w - best)
            w, velocity = subject.averaged(w, velocity, g, lr, setting.warp, m, order)
            return np.concatenate([w, velocity * (lr if order == "after" else 1.0)])

        still = np.concatenate([best, np.zeros(n)])
        small = 1e-6 * setting.eps * np.eye(2 * n)
        columns = [(move(still + h) - move(still - h)) / (2 * h.max()) for h in small]
        radius = float(np.abs(np.linalg.eigvals(np.array(columns).T)).max())
        trial.true((radius < 1) == (share < 1), "stable iff ηλ_max(H_Y) < 2(1 + m)")
        # At the threshold the top mode's multiplier is −1; beyond it z² + (1+m)(2·1.02 − 1)z + m = 0.
        if share > 1:
            middle = (1 + m) * (2 * share - 1)
            trial.within(
                radius - (middle + np.sqrt(middle**2 - 4 * m)) / 2, 1e-4, "the growth of the top mode"
            )
