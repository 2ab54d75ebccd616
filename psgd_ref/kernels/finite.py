"""Whether an array holds neither NaN nor infinity; float32.

Zero times a number is zero if that is finite, else NaN, and so is the sum of such products.
"""

from psgd_ref.kernels.blocks import WIDE, ZERO
from psgd_ref.kernels.compile import linked
from psgd_ref.kernels.tile import tile_columns, tile_full, tile_load_part, tile_multiply_add, tile_total


@linked
def all_finite(a):
    """Whether all numbers of a line are."""
    zero = tile_full(WIDE, ZERO)
    check = zero
    for i in range(0, len(a), tile_columns(WIDE)):
        check = tile_multiply_add(tile_load_part(WIDE, a, i, 0, len(a) - i), zero, check)
    return tile_total(check) == 0
