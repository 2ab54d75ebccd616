"""Stochastic gradient descent with momentum and weight decay."""

from dataclasses import dataclass

from psgd_ref.training.optimizers.links.transforms import decay_links, momentum_links
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.schedules import Schedule


@dataclass(frozen=True, eq=False)
class SGD(Optimizer):
    """Stochastic gradient descent: u = g + κw, v ← μv + u, w ← w − ηv.

    Parameters
    ----------
    lr
        η ≥ 0, or a schedule.
    momentum
        μ in [0, 1).
    weight_decay
        κ ≥ 0, or a schedule.

    Raises
    ------
    ValueError
        For values outside these ranges.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> pr.SGD(lr=0.05)
    SGD(lr=0.05, momentum=0.9, weight_decay=0.0001)
    """

    lr: float | Schedule = 0.1
    momentum: float = 0.9
    weight_decay: float | Schedule = 1e-4

    def __post_init__(self) -> None:
        super().__init__([*decay_links(self.weight_decay), *momentum_links(self.momentum)], self.lr)
