"""SGD with a quadratic pull to the nearest target: PSGD's decay to the grid without its scale."""

from collections.abc import Mapping
from dataclasses import dataclass

from psgd_ref.compress.grids.base import Grid
from psgd_ref.core import Targets
from psgd_ref.training.optimizers.links.position import target_rule
from psgd_ref.training.optimizers.links.pull import PullToTargets
from psgd_ref.training.optimizers.links.refit import Refit, refit_rule
from psgd_ref.training.optimizers.links.transforms import decay_links, momentum_links
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.schedules import Schedule


@dataclass(frozen=True, eq=False)
class QuadraticPull(Optimizer):
    """SGD for L + (κ/2)‖w − w̄‖²: u = g + κ(w − w̄), v ← μv + u, w ← w − ηv.

    Parameters
    ----------
    lr, momentum, weight_decay
        As in `SGD`; weight decay pulls to zero beside the pull to targets.
    grid, refresh, gradient_at
        As in `PSGD`.
    pull
        κ ≥ 0, or a schedule such as `ramp`.

    Raises
    ------
    ValueError
        For values that are not accepted.

    Source
    ------
    The penalty behind BinaryRelax (Yin, Zhang, Lyu, Osher, Qi, Xin 2018), which evaluates the network at
    (w + κ w̄)/(1 + κ); `gradient_at` = κ/(1 + κ) does so here.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> pr.training.QuadraticPull(lr=0.1, grid=2, pull=0.2).chain[1].weight_decay
    0.2
    """

    lr: float | Schedule = 0.1
    momentum: float = 0.9
    weight_decay: float | Schedule = 1e-4
    grid: int | Grid | Targets | Mapping[str, Grid] | None = None
    pull: float | Schedule = 1e-2
    refresh: int | str | Refit = 1
    gradient_at: float | Schedule = 0.0

    def __post_init__(self) -> None:
        rule = target_rule("QuadraticPull", self.grid)
        pull = PullToTargets(rule, self.pull, refit_rule(self.refresh))
        chain = [*decay_links(self.weight_decay), pull, *momentum_links(self.momentum)]
        super().__init__(chain, self.lr, gradient_at=self.gradient_at)
