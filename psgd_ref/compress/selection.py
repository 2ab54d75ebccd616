"""Which parameters are quantized, and to how many bits."""

from collections.abc import Mapping

from psgd_ref.compress.grids.base import FixedTargets, Grid, with_bits
from psgd_ref.core import Zero
from psgd_ref.nn import Model, Segment

# The first and last layer have 8 bits when the others have fewer than 4, as in the official code.
OUTER_BITS, FEW_BITS = 8, 4


def layer_bits(bits: int, outer: bool) -> int:
    """Bits of a layer when the model is quantized to `bits`: 8 in an outer layer below 4."""
    return OUTER_BITS if outer and bits < FEW_BITS else bits


def prunable(model: Model) -> tuple[Segment, ...]:
    """The segments that pruning acts on: weights, not biases and batch norms."""
    return tuple(segment for segment in model.segments if segment.role == "weight")


def quantized_segments(model: Model) -> tuple[Segment, ...]:
    """The segments that are quantized: weights and the linear layers' biases, not batch norms.

    The same set is scaled in training and quantized afterwards, as in the official code.
    """
    return tuple(segment for segment in model.segments if segment.role in ("weight", "bias"))


def layer_name(segment: Segment) -> str:
    """The name of the layer that a segment belongs to."""
    return segment.name.rpartition(".")[0]


def assign(model: Model, grid: Grid | Mapping[str, Grid]) -> list[tuple[Segment, Grid]]:
    """Every quantized segment with its grid.

    Zero alone is for pruning, so it is a target of what is pruned: weights, not biases.

    Parameters
    ----------
    grid
        One rule for all, but 8 bits in the first and last layer below 4 bits; or rules by parameter name,
        taken as they are, where segments without one are left out.
    """
    if isinstance(grid, FixedTargets) and isinstance(grid.targets, Zero):
        return [(segment, grid) for segment in prunable(model)]
    segments = quantized_segments(model)
    if isinstance(grid, Mapping):
        return [(segment, grid[segment.name]) for segment in segments if segment.name in grid]
    if grid.bits is None or not segments:
        return [(segment, grid) for segment in segments]
    # One rule for all outer layers, made only where it differs.
    outer, bits = outer_layers(model), layer_bits(grid.bits, outer=True)
    wide = grid if bits == grid.bits else with_bits(grid, bits)
    return [(segment, wide if layer_name(segment) in outer else grid) for segment in segments]


def outer_layers(model: Model) -> set[str]:
    """The names of the first and the last layer that are quantized."""
    segments = quantized_segments(model)
    return {layer_name(segments[0]), layer_name(segments[-1])}
