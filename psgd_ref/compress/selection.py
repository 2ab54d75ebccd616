"""Which parameters are quantized, and to how many bits."""

from collections.abc import Mapping

from psgd_ref.compress.grids.base import FixedTargets, Grid, with_bits
from psgd_ref.compress.pruning.prune import prunable
from psgd_ref.core import Zero
from psgd_ref.nn import Model, Segment

# First and last layer keep this many bits when the others have fewer than 4, as in the official code.
OUTER_BITS = 8


def gridded(model: Model) -> tuple[Segment, ...]:
    """The segments that live on a grid: weights and the linear layers' biases, not batch norms.

    The same set is scaled in training and quantized afterwards, as in the official code.
    """
    return tuple(segment for segment in model.segments if segment.role in ("weight", "bias"))


def layer_name(segment: Segment) -> str:
    """The name of the layer that a segment belongs to."""
    return segment.name.rpartition(".")[0]


def assign(model: Model, grid: Grid | Mapping[str, Grid]) -> list[tuple[Segment, Grid]]:
    """Every gridded segment with its grid: `grid`, but 8 bits in the first and last layer below 4 bits.

    grid : or rules by parameter name, taken as they are; segments without one are left out
    Zero alone is for pruning, so it is a target of what is pruned: weights, not biases.
    """
    if isinstance(grid, FixedTargets) and isinstance(grid.targets, Zero):
        return [(segment, grid) for segment in prunable(model)]
    segments = gridded(model)
    if isinstance(grid, Mapping):
        return [(segment, grid[segment.name]) for segment in segments if segment.name in grid]
    if grid.bits is None or grid.bits >= 4 or not segments:
        return [(segment, grid) for segment in segments]
    outer, wide = outer_layers(model), with_bits(grid, OUTER_BITS)
    return [(segment, wide if layer_name(segment) in outer else grid) for segment in segments]


def outer_layers(model: Model) -> set[str]:
    """The names of the first and the last layer that are gridded."""
    segments = gridded(model)
    return {layer_name(segments[0]), layer_name(segments[-1])}
