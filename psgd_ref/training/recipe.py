"""How training images become batches."""

from dataclasses import dataclass

from psgd_ref.core.arguments import below_one, whole_number
from psgd_ref.data.dataset import Augmentation


@dataclass(frozen=True)
class Recipe:
    """How batches are drawn, and what their labels are made of.

    Parameters
    ----------
    batch_size
        Images per step, ≥ 1; the last batch of an epoch may be smaller.
    label_smoothing
        In [0, 1), as in `Model.loss_and_grad`.
    augment
        What is done to the raw pixels of a batch, such as `Shift(1)`; None for what the data set has.

    Raises
    ------
    ValueError
        For values outside these ranges.
    """

    batch_size: int = 64
    label_smoothing: float = 0.0
    augment: Augmentation | None = None

    def __post_init__(self) -> None:
        whole_number("batch_size", self.batch_size, 1)
        below_one("label_smoothing", self.label_smoothing)
        if self.augment is not None and not callable(self.augment):
            raise ValueError(
                f"augment must change images, such as Shift(1) or RECIPES['crop']; got {self.augment!r}"
            )
