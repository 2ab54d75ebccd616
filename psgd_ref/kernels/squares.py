"""The transforms of `winograd.py`, each for one square of pixels and one vector of channels.

A transform multiplies by a small matrix from the left, then by its transpose from the right: first all
columns of a square, then all lines of what that gives. The numbers are tiles of one register. The 16 of a
4×4 square, ξ = 4·line + column, lie `plane` apart in V, M and D.
"""

import numpy as np

from psgd_ref.kernels.compile import LANES, inner
from psgd_ref.kernels.tile import shape, tile_add, tile_load, tile_store, tile_subtract

# The kernel's matrix; the others are the sums and differences in the functions below.
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)
VECTOR = shape(1, 1, LANES)
# What a tile of zeros is loaded from.
NOTHING = np.zeros(2 * LANES, np.float32)


@inner
def _times_b(d):
    """Bᵀ d, of four."""
    return (
        tile_subtract(d[0], d[2]),
        tile_add(d[1], d[2]),
        tile_subtract(d[2], d[1]),
        tile_subtract(d[1], d[3]),
    )


@inner
def _times_a(m):
    """Aᵀ m, of four."""
    return (
        tile_add(tile_add(m[0], m[1]), m[2]),
        tile_subtract(tile_subtract(m[1], m[2]), m[3]),
    )


@inner
def _load(a, at, step, vector):
    """Four numbers of a column or line, `step` apart."""
    return (
        tile_load(vector, a, at, 0),
        tile_load(vector, a, at + step, 0),
        tile_load(vector, a, at + 2 * step, 0),
        tile_load(vector, a, at + 3 * step, 0),
    )


@inner
def _store(values, a, at, step):
    tile_store(values[0], a, at, 0)
    tile_store(values[1], a, at + step, 0)
    tile_store(values[2], a, at + 2 * step, 0)
    tile_store(values[3], a, at + 3 * step, 0)


@inner
def transform_input(x, at, down, right, v, to, plane, vector):
    """v[to + ξ plane] = Bᵀ d B, d the square at x[at]."""
    a = _times_b(_load(x, at, down, vector))
    b = _times_b(_load(x, at + right, down, vector))
    c = _times_b(_load(x, at + 2 * right, down, vector))
    d = _times_b(_load(x, at + 3 * right, down, vector))
    _store(_times_b((a[0], b[0], c[0], d[0])), v, to, plane)
    _store(_times_b((a[1], b[1], c[1], d[1])), v, to + 4 * plane, plane)
    _store(_times_b((a[2], b[2], c[2], d[2])), v, to + 8 * plane, plane)
    _store(_times_b((a[3], b[3], c[3], d[3])), v, to + 12 * plane, plane)


@inner
def transform_output(m, at, plane, vector):
    """Both lines of Aᵀ M A, M the numbers m[at + ξ plane]."""
    a = _times_a(_load(m, at, 4 * plane, vector))
    b = _times_a(_load(m, at + plane, 4 * plane, vector))
    c = _times_a(_load(m, at + 2 * plane, 4 * plane, vector))
    d = _times_a(_load(m, at + 3 * plane, 4 * plane, vector))
    return _times_a((a[0], b[0], c[0], d[0])), _times_a((a[1], b[1], c[1], d[1]))


@inner
def _expand(y, zero):
    """A y, of two."""
    return (y[0], tile_add(y[0], y[1]), tile_subtract(y[0], y[1]), tile_subtract(zero, y[1]))


@inner
def transform_gradient(dy, at, down, right, d, to, plane, vector):
    """d[to + ξ plane] = A dy Aᵀ, dy the square at dy[at]."""
    zero = tile_load(vector, NOTHING, 0, 0)
    a = _expand((tile_load(vector, dy, at, 0), tile_load(vector, dy, at + down, 0)), zero)
    b = _expand((tile_load(vector, dy, at + right, 0), tile_load(vector, dy, at + down + right, 0)), zero)
    _store(_expand((a[0], b[0]), zero), d, to, plane)
    _store(_expand((a[1], b[1]), zero), d, to + 4 * plane, plane)
    _store(_expand((a[2], b[2]), zero), d, to + 8 * plane, plane)
    _store(_expand((a[3], b[3]), zero), d, to + 12 * plane, plane)
