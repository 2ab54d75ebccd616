"""PARQ: SGD on latent weights whose image, flat at every target, is what the network computes with."""

from collections.abc import Mapping
from dataclasses import dataclass

from psgd_ref.compress.grids.base import Grid
from psgd_ref.core import Targets
from psgd_ref.training.optimizers.links.position import target_rule
from psgd_ref.training.optimizers.links.proximal import PiecewiseAffine
from psgd_ref.training.optimizers.links.refit import Refit, refit_rule
from psgd_ref.training.optimizers.links.transforms import decay_links, momentum_links
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.schedules import Schedule, falling


@dataclass(frozen=True, eq=False)
class PARQ(Optimizer):
    """Aggregate proximal gradient: u ← u − ηv(w), w = a map of u that gets ever flatter (`PiecewiseAffine`).

    The gradient is that of the network with w, and the latent u moves; at the end every weight lies on a
    target. The straight-through estimator is the limit of inverse slope 0 from the start.

    Parameters
    ----------
    lr, momentum, weight_decay
        As in `SGD`; the decay pulls the latent weights by the value of w.
    grid, refresh
        As in `PSGD`; targets are fitted to the latent weights.
    steps
        ≥ 1, over which the inverse slope falls from 1 to 0: 1/(1 + exp(s(k/steps − ½))).
    steepness
        s > 0 of that fall.

    Raises
    ------
    ValueError
        For values that are not accepted.

    Source
    ------
    Jin, Ma, Liu, Gromov, Defazio, Xiao 2025.
    """

    lr: float | Schedule = 0.1
    momentum: float = 0.9
    weight_decay: float | Schedule = 1e-4
    grid: int | Grid | Targets | Mapping[str, Grid] | None = None
    steps: int = 1000
    steepness: float = 10.0
    refresh: int | str | Refit = 1

    def __post_init__(self) -> None:
        chain = [*decay_links(self.weight_decay), *momentum_links(self.momentum)]
        rule = target_rule("PARQ", self.grid)
        proximal = PiecewiseAffine(rule, falling(self.steps, self.steepness), refit_rule(self.refresh))
        super().__init__(chain, self.lr, proximal=proximal)
