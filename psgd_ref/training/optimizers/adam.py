"""Adam, alone and with the position scale."""

from collections.abc import Mapping
from dataclasses import dataclass

from psgd_ref.compress.grids.base import Grid
from psgd_ref.core import Targets
from psgd_ref.core.arguments import choice
from psgd_ref.training.optimizers.links.position import ScaleByPosition, target_rule
from psgd_ref.training.optimizers.links.transforms import ScaleByAdam, Transform
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.schedules import Schedule


@dataclass(frozen=True, eq=False)
class Adam(Optimizer):
    """Adam with decoupled weight decay: w ← w − η(m̂/(√v̂ + eps) + κw).

    Parameters
    ----------
    lr
        η ≥ 0, or a schedule.
    beta1, beta2
        In [0, 1): of the running means m of g and v of g².
    eps
        > 0.
    weight_decay
        κ ≥ 0.

    Raises
    ------
    ValueError
        For values outside these ranges.

    Source
    ------
    Kingma and Ba 2015; Loshchilov and Hutter 2019.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> pr.Adam(lr=0.002)
    Adam(lr=0.002, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.0)
    """

    lr: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        adam = ScaleByAdam(self.beta1, self.beta2, self.eps)
        super().__init__([adam], self.lr, decoupled_decay=self.weight_decay)


@dataclass(frozen=True, eq=False)
class PSGDAdam(Optimizer):
    """Adam with the position scale before its preconditioner, or after it.

    Parameters
    ----------
    lr, beta1, beta2, eps, weight_decay
        As in `Adam`.
    grid, strength
        As in `PSGD`.
    order
        "gradient" scales g, as the official code does; where s changes slowly Adam's division by √v̂
        cancels it. "direction" scales m̂/(√v̂ + eps), which nothing cancels.

    Raises
    ------
    ValueError
        For values that are not accepted.
    """

    lr: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    grid: int | Grid | Targets | Mapping[str, Grid] | None = None
    strength: float | str = "volume"
    order: str = "gradient"

    def __post_init__(self) -> None:
        position = ScaleByPosition(target_rule("PSGDAdam", self.grid), strength=self.strength)
        adam = ScaleByAdam(self.beta1, self.beta2, self.eps)
        before = choice("order", self.order, ("gradient", "direction")) == "gradient"
        chain: list[Transform] = [position, adam] if before else [adam, position]
        super().__init__(chain, self.lr, decoupled_decay=self.weight_decay)
