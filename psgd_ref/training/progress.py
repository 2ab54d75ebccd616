"""How far a training run has come."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.nn import Model
from psgd_ref.training.optimizers.links.transforms import State


@dataclass
class Progress:
    """All that the next step depends on besides the model: saving it with the model saves the run.

    Attributes
    ----------
    state
        Of the optimiser.
    rng
        Of batch order and augmentation.
    start
        The weights (n,) at the start of the current epoch.
    largest
        max|w| at the start of the run, with which growing weights are compared.
    epoch
        Epochs finished.
    losses
        Of the batches done in the current epoch.
    generator
        The state of `rng` at the start of the current epoch, from which its batches are drawn again.
    """

    state: State
    rng: np.random.Generator
    start: Array
    largest: float
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    generator: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, state: State, seed: int) -> "Progress":
        """Before the first step of a run."""
        rng = np.random.default_rng(seed)
        largest = float(np.abs(model.w).max(initial=0.0))
        return cls(state, rng, model.w.copy(), largest, generator=dict(rng.bit_generator.state))

    @property
    def step(self) -> int:
        """Steps taken since the start of the run."""
        return int(self.state["step"])

    def next_epoch(self, model: Model) -> None:
        """Count a finished epoch and go to the start of the next."""
        self.epoch += 1
        self.losses = []
        self.generator = dict(self.rng.bit_generator.state)
        self.start = model.w.copy()
