"""Which parameters are quantized, and to how many bits."""

from collections.abc import Mapping

from psgd_ref.compress.grids.base import Grid, with_bits
from psgd_ref.core.arguments import known
from psgd_ref.nn import Model, Segment

# The first and last layer have 8 bits when the others have fewer than 4, as in the official code.
OUTER_BITS, FEW_BITS = 8, 4


def layer_bits(bits: int, outer: bool) -> int:
    """Bits of a layer when the model is quantized to `bits`: 8 in an outer layer below 4."""
    return OUTER_BITS if outer and bits < FEW_BITS else bits


def weight_segments(model: Model) -> tuple[Segment, ...]:
    """The segments that are scaled in training and rounded or pruned afterwards: weights alone.

    Not batch norms, and not biases, which the official code puts on the grid, too: runtimes keep them in full
    precision or in 32 bits, and they begin at 0, a target, where at ε = 0 nothing would move them (claim D5).
    """
    return tuple(segment for segment in model.segments if segment.role == "weight")


def layer_name(segment: Segment) -> str:
    """The name of the layer that a segment belongs to."""
    return segment.name.rpartition(".")[0]


def assign(model: Model, grid: Grid | Mapping[str, Grid]) -> list[tuple[Segment, Grid]]:
    """Every segment that lies on a grid, with it.

    Parameters
    ----------
    grid
        One rule for all, but 8 bits in the first and last layer below 4 bits; or rules by parameter name,
        taken as they are, where segments without one are left out.

    Raises
    ------
    ValueError
        For a name that no weight has.
    """
    segments = weight_segments(model)
    if isinstance(grid, Mapping):
        known("weights in grid:", grid, [segment.name for segment in segments])
        return [(segment, grid[segment.name]) for segment in segments if segment.name in grid]
    if grid.bits is None or not segments:
        return [(segment, grid) for segment in segments]
    # One rule for all outer layers, made only where it differs.
    outer, bits = outer_layers(model), layer_bits(grid.bits, outer=True)
    wide = grid if bits == grid.bits else with_bits(grid, bits)
    return [(segment, wide if layer_name(segment) in outer else grid) for segment in segments]


def outer_layers(model: Model) -> set[str]:
    """The names of the first and the last layer that are quantized."""
    segments = weight_segments(model)
    return {layer_name(segments[0]), layer_name(segments[-1])}
