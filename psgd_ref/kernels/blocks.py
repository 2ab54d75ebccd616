"""How arrays are cut into tiles: the sizes of tiles, and rounding up to whole ones."""

from collections.abc import Callable
from functools import cache
from operator import methodcaller

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels.compile import LANES
from psgd_ref.kernels.tile import Shape, shape

ZERO = np.float32(0)
# Tiles of one row: one register, and two, for what is done number by number.
FLAT, WIDE = shape(1, 1, LANES), shape(1, 2, LANES)
# Tile for the weight gradient of few outputs, two products in a row.
PAIRED = shape(12, 1, LANES)
# In place of an array that is not there: compiled code tells by its size.
NONE = np.empty(0, np.float32)


@cache
def sums_shapes(columns: int) -> tuple[Shape, ...]:
    """Tiles for sums of products, the fastest first: as many registers as leave room for a row of factors.

    With 16 registers 6 × 2 leaves two for the row and one for a factor; 4 × 2 may fit the rows better.
    AVX-512 has 32, but each row also takes an address register. Few columns fit in one vector, and the
    tile is taller instead.
    """
    if LANES == 16 or columns <= LANES:
        return (shape(8, 1 if columns <= LANES else 2, LANES),)
    return shape(6, 2, LANES), shape(4, 2, LANES)


@cache
def sums_shape(columns: int) -> Shape:
    """The fastest of `sums_shapes` for many rows."""
    return sums_shapes(columns)[0]


@cache
def row_shape(columns: int) -> Shape:
    """One row of `sums_shape`."""
    return shape(1, 1 if columns <= LANES else 2, LANES)


@cache
def rows_shape(columns: int) -> Shape:
    """Some rows, few enough for several tiles at once."""
    vectors = 1 if columns <= LANES else 2
    return shape(4 // vectors, vectors, LANES)


@cache
def gradient_shape(columns: int) -> Shape:
    """Tile for the weight gradient, taller because its rows lie next to each other and share an address."""
    vectors = 1 if columns <= LANES else 2
    return shape((24 if LANES == 16 else 12) // vectors, vectors, LANES)


@cache
def square_shape(columns: int) -> Shape:
    """As `gradient_shape`, for as many rows as there are channels: with 16 lanes a divisor of these."""
    vectors = 1 if columns <= LANES else 2
    return shape(16 // vectors, vectors, LANES) if LANES == 16 else gradient_shape(columns)


@cache
def loose_gradient_shape(columns: int) -> Shape:
    """Tile for the weight gradient whose rows lie anywhere: each takes a register for its address."""
    return shape(5, 1 if columns <= LANES else 2, LANES)


@cache
def height_width(tile: Shape) -> tuple[int, int]:
    """Rows and columns of a tile."""
    kinds = [type(size) for size in tile]
    return kinds.count(int), kinds.count(float) * kinds.count(bool)


def up(size: int, step: int) -> int:
    """The least multiple of `step` that is not less than `size`."""
    return -(-size // step) * step


# The array as one line, copied only if it is not contiguous; called some fifty times a training step, and
# a function of Python's own would take as long again as what it does.
flat: Callable[[Array], Array] = methodcaller("ravel")
