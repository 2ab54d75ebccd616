"""Images inside a border of zeros, in scratch memory: every padding and every edge becomes the same case."""

from psgd_ref.kernels.blocks import WIDE, ZERO
from psgd_ref.kernels.compile import body, inner, linked
from psgd_ref.kernels.tile import (
    tile_columns,
    tile_full,
    tile_load,
    tile_load_part,
    tile_multiply_add,
    tile_store,
    tile_store_part,
    tile_subtract,
    tile_where_at_most,
    tile_where_less,
)


@inner
def clear(a):
    """a = 0, one line of numbers."""
    for i in range(len(a)):
        a[i] = ZERO


@linked
def copy(a, b):
    """b = a, for lines of one length that do not overlap."""
    for i in range(0, len(a), tile_columns(WIDE)):
        tile_store_part(tile_load_part(WIDE, a, i, 0, len(a) - i), b, i, 0, len(a) - i)


@inner
def insert(x, n, height, width, image, border):
    """Copy image n (lines of `width` numbers) inside the border, a line's length and the offset in it."""
    line, at = border
    for h in range(height):
        source, target = (n * height + h) * width, at + h * line
        copy(x[source : source + width], image[target : target + width])


@body
def insert_normalised(x, n, height, width, image, border, table, vector):
    """As `insert`, max((x − m)·factor + shift, 0); m, factor and shift of the channels are rows of a table.

    Channels come in whole vectors.
    """
    line, at = border
    channels, zero = table.shape[1], tile_full(vector, ZERO)
    centre, factor, shift = table[0], table[1], table[2]
    for c in range(0, channels, tile_columns(vector)):
        m, f, b = (
            tile_load(vector, centre, c, 0),
            tile_load(vector, factor, c, 0),
            tile_load(vector, shift, c, 0),
        )
        for h in range(height):
            source, target = (n * height + h) * width, at + h * line
            for i in range(c, width, channels):
                y = tile_multiply_add(tile_subtract(tile_load(vector, x, source + i, 0), m), f, b)
                tile_store(tile_where_less(y, zero, zero, y), image, target + i, 0)


@body
def insert_passed(dy, x, n, height, width, image, border, table, gated, vector):
    """As `insert`, dz·factor + (x − m)·slope + offset; dz = dy or, gated, where (x − m)·factor + shift > 0.

    m, factor, slope, offset and shift of the channels are rows of a table. Channels come in whole vectors.
    """
    line, at = border
    channels, zero = table.shape[1], tile_full(vector, ZERO)
    for c in range(0, channels, tile_columns(vector)):
        m, factor = tile_load(vector, table[0], c, 0), tile_load(vector, table[1], c, 0)
        slope, offset = tile_load(vector, table[2], c, 0), tile_load(vector, table[3], c, 0)
        shift = tile_load(vector, table[4], c, 0)
        for h in range(height):
            source, target = (n * height + h) * width, at + h * line
            for i in range(c, width, channels):
                moved = tile_subtract(tile_load(vector, x, source + i, 0), m)
                dz = tile_load(vector, dy, source + i, 0)
                if gated:
                    dz = tile_where_at_most(tile_multiply_add(moved, factor, shift), zero, zero, dz)
                dx = tile_multiply_add(dz, factor, tile_multiply_add(moved, slope, offset))
                tile_store(dx, image, target + i, 0)
