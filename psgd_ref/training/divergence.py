"""When training has diverged, and what to say then: the layer, its effective rate, what to lower."""

import math

import numpy as np

from psgd_ref.nn import Model
from psgd_ref.training.optimizers.links.transforms import State
from psgd_ref.training.optimizers.optimizer import Optimizer
from psgd_ref.training.progress import Progress

# Weights that grew by so much are no longer where they were initialised, ...
GROWTH = 10
# ... and a scale that multiplies the gradient by so much is the first thing to lower.
LARGE_SCALE = 3


class DivergenceError(ArithmeticError):
    """Training diverged, to numbers that are not finite or of no use; the message names layer and rate."""


def not_finite(model: Model, optimizer: Optimizer, state: State, lost: str | None) -> DivergenceError:
    """The error for a loss, or for parameter `lost`, that is not finite."""
    rates = optimizer.effective_rates(model, state)
    name = lost or max(rates, key=lambda name: rates[name])
    what = f"{name} is not finite" if lost else f"the loss is not finite; {name} has the largest rate"
    return DivergenceError(
        f"training diverged at step {int(state['step'])}: {what}, {_cure(optimizer, state, rates[name])}"
    )


def check_epoch(model: Model, optimizer: Optimizer, progress: Progress, classes: int) -> None:
    """Raise DivergenceError when an epoch ended worse than guessing, with weights ten times as large.

    Batch norms keep the loss finite whatever the weights are, so that nothing else would show it. The
    loss is the mean of the epoch's second half; guessing has ln(classes).
    """
    loss = float(np.mean(progress.losses[len(progress.losses) // 2 :]))
    sizes = {
        segment.name: float(np.abs(model.w[segment.span]).max(initial=0.0)) for segment in model.segments
    }
    name = max(sizes, key=lambda name: sizes[name])
    if loss <= math.log(classes) or sizes[name] <= GROWTH * progress.largest:
        return
    rate = optimizer.effective_rates(model, progress.state)[name]
    raise DivergenceError(
        f"training diverged in epoch {progress.epoch + 1}: the loss, {loss:.3g}, is above that of guessing, "
        f"{math.log(classes):.3g}, and {name} has grown to {sizes[name]:.3g} (at first no weight was above "
        f"{progress.largest:.3g}), {_cure(optimizer, progress.state, rate)}"
    )


def _cure(optimizer: Optimizer, state: State, effective: float) -> str:
    rate = optimizer.rate(state)
    scaled = rate > 0 and effective / rate > LARGE_SCALE
    lower = "strength, lr or momentum" if scaled else "lr or momentum"
    return f"effective rate η·mean(s) = {effective:.3g} (η = {rate:.3g}); lower {lower}"
