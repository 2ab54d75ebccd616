"""Fully connected layers: three matrix products by register tiles. Rows are samples, float32.

    forward   y[n,o]  = b[o] + Σ_i x[n,i] · W[i,o]
    input     dx[n,i] = Σ_o dy[n,o] · W[i,o]
    weights   dW[i,o] = Σ_n x[n,i] · dy[n,o]

All three are C = A·B for some strides of A and B. A BLAS would do, but cuts its sums by the number of
threads and by the CPU; here every element of C is one sum in order.

A turn of a thread makes one block of columns of C, as wide as a tile, for a band of rows. It takes B in
pieces of some rows: a piece is packed into a panel that stays in the L1 cache while all tiles of the band
go over it. Between two pieces the sums of a tile wait in memory.
"""

from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import NONE, ZERO, flat, row_shape, sums_shape
from psgd_ref.kernels.channels import channel_sum
from psgd_ref.kernels.compile import LANES, body, inner, kernel
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.tile import (
    tile_columns,
    tile_load,
    tile_rank1,
    tile_rows,
    tile_store,
    tile_store_part,
)

# Rows of C in one turn of a thread, and rows of B in one piece.
_BAND, _PIECE = 96, 256
# Columns of the widest tile.
_WIDEST = 2 * LANES


def linear(x: Array, w: Array, bias: Array | None) -> Array:
    """As `reference.linear`."""
    (rows, depth), columns = x.shape, w.shape[1]
    y: Array = memory.empty((rows, columns))
    _multiply(
        flat(x), flat(w), NONE if bias is None else flat(bias), flat(y), *_room(depth),
        (rows, depth, columns), (depth, 1), (columns, 1), sums_shape(columns), row_shape(columns),
    )  # fmt: skip
    return y


def linear_backward(
    dy: Array,
    x: Array,
    w: Array,
    need_dx: bool = True,
    into: Array | None = None,
    bias_into: Array | None = None,
) -> tuple[Array | None, Array]:
    """As `reference.linear_backward`."""
    (rows, inputs), outputs = x.shape, w.shape[1]
    dw: Array = memory.empty(w.shape) if into is None else into
    dx: Array | None = memory.empty(x.shape) if need_dx else None
    _gradients(
        flat(dy), flat(x), flat(w), flat(dw), NONE if dx is None else flat(dx), NONE,
        *_room(max(rows, outputs)), (rows, inputs, outputs, 1), sums_shape(outputs), row_shape(outputs),
        sums_shape(inputs), row_shape(inputs),
    )  # fmt: skip
    if bias_into is not None:
        channel_sum(dy, bias_into)
    return dx, dw


def _room(depth: int) -> list[Any]:
    """Each thread's initial and waiting sums and its panel, and where the rows of a band lie."""
    sums = (THREADS, (1 + _BAND + min(depth, _PIECE)) * _WIDEST)
    return memory.scratch((sums, np.float32), ((THREADS, 2, _BAND), np.intp))


@kernel
def _gradients(dy, x, w, dw, dx, none, scratch, places, sizes, tile_o, row_o, tile_i, row_i):
    # Numba would compile the product again for steps that it knows to be 1.
    rows, inputs, outputs, one = sizes
    steps = (one, inputs), (outputs, one)
    _multiply(x, dy, none, dw, scratch, places, (inputs, rows, outputs), *steps, tile_o, row_o)
    if dx.size > 0:
        steps = (outputs, one), (one, outputs)
        _multiply(dy, w, none, dx, scratch, places, (rows, outputs, inputs), *steps, tile_i, row_i)


@kernel
def _multiply(a, b, bias, c, scratch, places, sizes, a_steps, b_steps, tile, row):
    """C = A·B + bias. Steps: how far apart rows and columns of A and B lie in the arrays as one line."""
    rows, depth, columns = sizes
    bands, blocks = (rows + _BAND - 1) // _BAND, (columns + tile_columns(tile) - 1) // tile_columns(tile)
    arguments = (a, b, bias, c, scratch, places, sizes, a_steps, b_steps, tile, row)
    # One instruction multiplies a whole vector.
    for_each(bands * blocks, rows * depth * columns // LANES, _multiply_band, arguments)


@body
def _multiply_band(index, worker, a, b, bias, c, scratch, places, sizes, a_steps, b_steps, tile, row):
    """One block of columns for a band of rows of C = A·B + bias."""
    rows, depth, columns = sizes
    height, block = tile_rows(tile), tile_columns(tile)
    blocks = (columns + block - 1) // block
    top, first = index // blocks * _BAND, index % blocks * block
    bottom, count = min(rows, top + _BAND), min(block, columns - first)
    initial, sums = scratch[worker, :block], scratch[worker, block : (1 + _BAND) * block]
    panel = scratch[worker, (1 + _BAND) * block :]
    # Where the rows of the band lie in A and in C; the last tile repeats the last row.
    reads, writes = places[worker, 0], places[worker, 1]
    for p in range(_BAND):
        n = min(top + p, bottom - 1)
        reads[p], writes[p] = n * a_steps[0], n * columns
    for i in range(block):
        initial[i] = bias[first + i] if i < min(count, bias.size) else ZERO
    for start in range(0, max(depth, 1), _PIECE):
        stop = min(start + _PIECE, depth)
        _pack(b, start * b_steps[0] + first * b_steps[1], b_steps, panel, stop - start, count, row)
        for p in range(0, bottom - top, height):
            total = tile_load(tile, sums, p * block, block) if start > 0 else tile_load(tile, initial, 0, 0)
            rows_read, rows_written = reads[p : p + height], writes[p : p + height]
            for k in range(stop - start):
                total = tile_rank1(total, a, (start + k) * a_steps[1], rows_read, panel, k * block)
            if stop < depth:
                tile_store(total, sums, p * block, block)
            else:
                tile_store_part(total, c, first, rows_written, count)


@inner
def _pack(b, source, steps, panel, depth, count, row):
    """Copy a piece of B, some rows of `count` columns, into rows as wide as a tile."""
    block = tile_columns(row)
    if count == block and steps[1] == 1:
        for k in range(depth):
            tile_store(tile_load(row, b, source + k * steps[0], 0), panel, k * block, 0)
        return
    # Column by column, because those of a transposed matrix are the lines of memory.
    for i in range(count):
        for k in range(depth):
            panel[k * block + i] = b[source + k * steps[0] + i * steps[1]]
    for i in range(count, block):
        for k in range(depth):
            panel[k * block + i] = ZERO
