"""ProxQuant: SGD with a W-shaped L1 penalty that is applied by proximal steps."""

from collections.abc import Mapping
from dataclasses import dataclass

from psgd_ref.compress.grids.base import Grid
from psgd_ref.core import Targets
from psgd_ref.core.arguments import real_number
from psgd_ref.training.optimizers.links.position import target_rule
from psgd_ref.training.optimizers.links.proximal import ToTargets
from psgd_ref.training.optimizers.links.refit import Refit, refit_rule
from psgd_ref.training.optimizers.links.transforms import decay_links, momentum_links
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.schedules import Schedule, scaled


@dataclass(frozen=True, eq=False)
class ProxQuant(Optimizer):
    """SGD for L + penalty·‖w − w̄‖₁ by proximal steps: w ← w − ηv, then |w − w̄| ← max(|w − w̄| − ηp, 0).

    v as in `SGD`, p = penalty/(1 − μ), so that at rest, where v = g/(1 − μ), the fixed points are those of
    the penalised loss with any momentum: |g| ≤ penalty on a target.

    Parameters
    ----------
    lr, momentum, weight_decay
        As in `SGD`.
    grid, refresh
        As in `PSGD`.
    penalty
        ≥ 0, or a schedule such as `ramp`.

    Raises
    ------
    ValueError
        For values that are not accepted.

    Source
    ------
    Bai, Wang, Liberty 2019, with the W-shaped L1 regulariser; momentum is ours.
    """

    lr: float | Schedule = 0.1
    momentum: float = 0.9
    weight_decay: float | Schedule = 1e-4
    grid: int | Grid | Targets | Mapping[str, Grid] | None = None
    penalty: float | Schedule = 1e-3
    refresh: int | str | Refit = 1

    def __post_init__(self) -> None:
        chain = [*decay_links(self.weight_decay), *momentum_links(self.momentum)]
        rule = target_rule("ProxQuant", self.grid)
        if not callable(self.penalty):
            real_number("penalty", self.penalty)
        penalty = scaled(self.penalty, 1 / (1 - self.momentum))
        super().__init__(chain, self.lr, proximal=ToTargets(rule, penalty, refit_rule(self.refresh)))
