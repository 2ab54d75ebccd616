"""A warning for weights that begin on a target, where nothing moves them."""

import warnings

from psgd_ref.nn import Model
from psgd_ref.training.optimizers.links.transforms import State
from psgd_ref.training.optimizers.optimizer import Optimizer

# The largest weight is always a target of its min-max grid: in a tensor of two weights that is half of them.
LARGEST_FRACTION = 0.5


class FrozenWeightsWarning(UserWarning):
    """Most of a tensor has scale 0 before the first step, where it stays (claim D5)."""


def warn_of_frozen_weights(model: Model, optimizer: Optimizer, state: State) -> None:
    """Warn, once and by name, of tensors of which more than half has scale 0 before the first step.

    At ε = 0 a weight on a target has s = 0 and stays there, as after `pr.quantize`, or where the initial
    values are zeros. What a mask prunes is meant to stay, and does not count.
    """
    if optimizer.position is None:
        return
    scale, named = optimizer.position.scale(model, optimizer.position_state(state)), []
    for segment in model.segments:
        free = slice(None) if model.mask is None else model.mask[segment.span]
        own = scale[segment.span][free]
        if own.size and (frozen := float((own == 0).mean())) > LARGEST_FRACTION:
            named.append(f"{segment.name} ({frozen:.0%})")
    if named:
        warnings.warn(
            f"these weights begin on their targets, where at eps = 0 their gradients have the factor 0: "
            f"{', '.join(named)}; a small eps lets them move",
            FrozenWeightsWarning,
            stacklevel=3,
        )
