"""SGD with an L1 penalty that is applied by proximal steps."""

from dataclasses import dataclass

from psgd_ref.core.arguments import real_number
from psgd_ref.training.optimizers.links.proximal import ToZero
from psgd_ref.training.optimizers.links.transforms import decay_links, momentum_links
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.optimizers.schedules import Schedule


@dataclass(frozen=True, eq=False)
class ProximalL1(Optimizer):
    """SGD for L + penalty·‖weights‖₁ by proximal steps: w ← soft(w − ηv, η·penalty/(1 − μ)), v as in `SGD`.

    soft(c, a) = sign(c) max(|c| − a, 0), on weights, not on biases and batch norms. At rest v = g/(1 − μ),
    so the fixed points are, with any momentum, those of the penalised loss: |g| ≤ penalty where w = 0.

    Parameters
    ----------
    lr, momentum, weight_decay
        As in `SGD`.
    penalty
        ≥ 0.

    Raises
    ------
    ValueError
        For values outside these ranges.

    Source
    ------
    Daubechies, Defrise, De Mol 2004 (from memory).
    """

    lr: float | Schedule = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    penalty: float = 1e-4

    def __post_init__(self) -> None:
        chain = [*decay_links(self.weight_decay), *momentum_links(self.momentum)]
        penalty = real_number("penalty", self.penalty) / (1 - self.momentum)
        super().__init__(chain, self.lr, proximal=ToZero(penalty) if penalty > 0 else None)
