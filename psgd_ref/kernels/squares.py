"""The transforms of `winograd.py`, each for one square of pixels and one vector of channels.

A transform multiplies by a small matrix from the left, then by its transpose from the right: first all
columns of a square, then all lines of what that gives, which waits in `room`. The numbers are tiles of one
register. The 36 of a 6×6 square, ξ = 6·line + column, lie `plane` apart in V, M and D.

The points come in pairs ±p, and each pair shares its even and its odd half: e + p·o and e − p·o.
"""

import numpy as np

from psgd_ref.kernels.compile import LANES, inner, linked
from psgd_ref.kernels.tile import (
    shape,
    tile_add,
    tile_add_times,
    tile_columns,
    tile_load,
    tile_store,
    tile_subtract,
    tile_times,
)

# Outputs and inputs of a square, along each side.
OUTPUTS, INPUTS = 4, 6
PLACES = INPUTS * INPUTS
# The points 0, ±√½, ±√2 and ∞.
_INNER, _OUTER = np.sqrt(0.5), np.sqrt(2.0)


VECTOR = shape(1, 1, LANES)
# What a tile of zeros is loaded from.
NOTHING = np.zeros(2 * LANES, np.float32)
# Room for a square between the two halves of a transform.
ROOM = PLACES * LANES

_HALF, _TWO, _FIVE_HALVES = np.float32(0.5), np.float32(2), np.float32(2.5)
_P, _Q = np.float32(_INNER), np.float32(_OUTER)
_P3, _Q3 = np.float32(_INNER**3), np.float32(_OUTER**3)
# One over the product of the distances of ±√½, and of ±√2, from the other points.
_BY_P, _BY_Q = np.float32(-2 / 3), np.float32(1 / 6)


@inner
def _load(a, at, step, vector):
    """Six numbers of a column or line, `step` apart."""
    return (
        tile_load(vector, a, at, 0),
        tile_load(vector, a, at + step, 0),
        tile_load(vector, a, at + 2 * step, 0),
        tile_load(vector, a, at + 3 * step, 0),
        tile_load(vector, a, at + 4 * step, 0),
        tile_load(vector, a, at + 5 * step, 0),
    )


@inner
def _store(values, a, at, step):
    tile_store(values[0], a, at, 0)
    tile_store(values[1], a, at + step, 0)
    tile_store(values[2], a, at + 2 * step, 0)
    tile_store(values[3], a, at + 3 * step, 0)
    tile_store(values[4], a, at + 4 * step, 0)
    tile_store(values[5], a, at + 5 * step, 0)


@inner
def _load_four(a, at, step, vector):
    return (
        tile_load(vector, a, at, 0),
        tile_load(vector, a, at + step, 0),
        tile_load(vector, a, at + 2 * step, 0),
        tile_load(vector, a, at + 3 * step, 0),
    )


@inner
def _store_four(values, a, at, step):
    tile_store(values[0], a, at, 0)
    tile_store(values[1], a, at + step, 0)
    tile_store(values[2], a, at + 2 * step, 0)
    tile_store(values[3], a, at + 3 * step, 0)


@inner
def _load_three(a, at, step, vector):
    return (
        tile_load(vector, a, at, 0),
        tile_load(vector, a, at + step, 0),
        tile_load(vector, a, at + 2 * step, 0),
    )


@inner
def _store_three(values, a, at, step):
    tile_store(values[0], a, at, 0)
    tile_store(values[1], a, at + step, 0)
    tile_store(values[2], a, at + 2 * step, 0)


@inner
def _times_b(d, vector):
    """Bᵀ d, of six."""
    even_p, odd_p = tile_add_times(d[4], -_TWO, d[2]), tile_add_times(d[3], -_TWO, d[1])
    even_q, odd_q = tile_add_times(d[4], -_HALF, d[2]), tile_add_times(d[3], -_HALF, d[1])
    return (
        tile_add_times(tile_add(d[0], d[4]), -_FIVE_HALVES, d[2]),
        tile_add_times(even_p, _P, odd_p),
        tile_add_times(even_p, -_P, odd_p),
        tile_add_times(even_q, _Q, odd_q),
        tile_add_times(even_q, -_Q, odd_q),
        tile_add_times(tile_add(d[1], d[5]), -_FIVE_HALVES, d[3]),
    )


@linked
def transform_input(x, at, down, right, room, v, to, plane, vector):
    """v[to + ξ plane] = Bᵀ d B, d the square at x[at]."""
    lanes = tile_columns(vector)
    for j in range(INPUTS):
        _store(_times_b(_load(x, at + j * right, down, vector), vector), room, j * lanes, INPUTS * lanes)
    for i in range(INPUTS):
        line = _load(room, i * INPUTS * lanes, lanes, vector)
        _store(_times_b(line, vector), v, to + i * INPUTS * plane, plane)


@inner
def _times_a(m, vector):
    """Aᵀ m, of six."""
    even_p, odd_p = tile_add(m[1], m[2]), tile_subtract(m[1], m[2])
    even_q, odd_q = tile_add(m[3], m[4]), tile_subtract(m[3], m[4])
    return (
        tile_add(tile_add(m[0], even_p), even_q),
        tile_add_times(tile_times(_P, odd_p), _Q, odd_q),
        tile_add_times(tile_times(_HALF, even_p), _TWO, even_q),
        tile_add_times(tile_add_times(m[5], _P3, odd_p), _Q3, odd_q),
    )


@linked
def transform_output(m, at, plane, room, vector):
    """room[(4 line + column) lanes] = Aᵀ M A, M the numbers m[at + ξ plane]."""
    lanes = tile_columns(vector)
    for j in range(INPUTS):
        y = _times_a(_load(m, at + j * plane, INPUTS * plane, vector), vector)
        _store_four(y, room, j * lanes, INPUTS * lanes)
    for i in range(OUTPUTS):
        y = _times_a(_load(room, i * INPUTS * lanes, lanes, vector), vector)
        _store_four(y, room, i * OUTPUTS * lanes, lanes)


@inner
def _expand(y, vector):
    """A y, of four."""
    even_p, odd_p = tile_add_times(y[0], _HALF, y[2]), tile_add_times(y[1], _HALF, y[3])
    even_q, odd_q = tile_add_times(y[0], _TWO, y[2]), tile_add_times(y[1], _TWO, y[3])
    return (
        y[0],
        tile_add_times(even_p, _P, odd_p),
        tile_add_times(even_p, -_P, odd_p),
        tile_add_times(even_q, _Q, odd_q),
        tile_add_times(even_q, -_Q, odd_q),
        y[3],
    )


@linked
def transform_gradient(dy, at, down, right, room, d, to, plane, vector):
    """d[to + ξ plane] = A dy Aᵀ, dy the square at dy[at]."""
    lanes = tile_columns(vector)
    for j in range(OUTPUTS):
        column = _expand(_load_four(dy, at + j * right, down, vector), vector)
        _store(column, room, j * lanes, OUTPUTS * lanes)
    for i in range(INPUTS):
        line = _expand(_load_four(room, i * OUTPUTS * lanes, lanes, vector), vector)
        _store(line, d, to + i * INPUTS * plane, plane)


@inner
def _times_g(g, vector):
    """G g, of three."""
    even_p, odd_p = tile_times(_BY_P, tile_add_times(g[0], _HALF, g[2])), tile_times(_BY_P * _P, g[1])
    even_q, odd_q = tile_times(_BY_Q, tile_add_times(g[0], _TWO, g[2])), tile_times(_BY_Q * _Q, g[1])
    return (
        g[0],
        tile_add(even_p, odd_p),
        tile_subtract(even_p, odd_p),
        tile_add(even_q, odd_q),
        tile_subtract(even_q, odd_q),
        g[2],
    )


@linked
def transform_weights(w, at, down, right, room, u, to, plane, vector):
    """u[to + ξ plane] = G g Gᵀ, g the kernel at w[at]."""
    lanes = tile_columns(vector)
    for j in range(3):
        _store(_times_g(_load_three(w, at + j * right, down, vector), vector), room, j * lanes, 3 * lanes)
    for i in range(INPUTS):
        line = _times_g(_load_three(room, i * 3 * lanes, lanes, vector), vector)
        _store(line, u, to + i * INPUTS * plane, plane)


@inner
def _contract(u, vector):
    """Gᵀ u, of six."""
    even_p, odd_p = tile_times(_BY_P, tile_add(u[1], u[2])), tile_subtract(u[1], u[2])
    even_q, odd_q = tile_times(_BY_Q, tile_add(u[3], u[4])), tile_subtract(u[3], u[4])
    return (
        tile_add(tile_add(u[0], even_p), even_q),
        tile_add_times(tile_times(_BY_P * _P, odd_p), _BY_Q * _Q, odd_q),
        tile_add_times(tile_add_times(u[5], _HALF, even_p), _TWO, even_q),
    )


@linked
def transform_sums(u, at, plane, room, dg, to, down, right, vector):
    """dg[to + i down + j right] = Gᵀ dU G, dU the numbers u[at + ξ plane]."""
    lanes = tile_columns(vector)
    for j in range(INPUTS):
        column = _contract(_load(u, at + j * plane, INPUTS * plane, vector), vector)
        _store_three(column, room, j * lanes, INPUTS * lanes)
    for i in range(3):
        line = _contract(_load(room, i * INPUTS * lanes, lanes, vector), vector)
        _store_three(line, dg, to + i * down, right)
