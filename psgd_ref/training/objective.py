"""What a training step minimises: cross-entropy, alone or with penalties."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model


class Objective(Protocol):
    """A loss of a batch: fills model.g with its gradient and returns its value.

    It may have no state of its own, or a resumed run would differ: what changes belongs in a layer's
    `buffers()`, which checkpoints hold.

    Parameters
    ----------
    images, labels
        Of the batch, as `Model.loss_and_grad` takes them.
    step
        Number of steps taken, for whatever is annealed; a resumed run continues the count.
    """

    def __call__(self, model: Model, images: Array, labels: Any, step: int) -> float: ...


class Penalty(Protocol):
    """A function of the model alone: adds its gradient to model.g and returns its value.

    It may rely on what the layers found when they filled model.g just now.
    """

    def __call__(self, model: Model, step: int) -> float: ...


@dataclass(frozen=True)
class CrossEntropy:
    """Mean cross-entropy with label smoothing in [0, 1): the default."""

    label_smoothing: float = 0.0

    def __call__(self, model: Model, images: Array, labels: Any, step: int) -> float:
        return model.loss_and_grad(images, labels, self.label_smoothing)


@dataclass(frozen=True)
class Penalized:
    """The sum of a loss and penalties; each penalty carries its own strength."""

    loss: Objective
    penalties: Sequence[Penalty]

    def __call__(self, model: Model, images: Array, labels: Any, step: int) -> float:
        value = self.loss(model, images, labels, step)
        return value + sum(penalty(model, step) for penalty in self.penalties)
