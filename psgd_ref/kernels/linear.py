"""Fully connected layers: three matrix products by register tiles. Rows are samples, float32.

    forward   y[n,o]  = b[o] + Σ_i x[n,i] · W[i,o]
    input     dx[n,i] = Σ_o dy[n,o] · W[i,o]
    weights   dW[i,o] = Σ_n x[n,i] · dy[n,o]

All three are C = A·B for some strides of A and B. A BLAS would do, but cuts its sums by the number of
threads and by the CPU; here every element of C is one sum in order.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import ZERO, height_width, row_shape, store_columns, sums_shape
from psgd_ref.kernels.compile import LANES, body, kernel
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.tile import tile_columns, tile_load, tile_rank1, tile_rows, tile_store

# Rows of C in one turn of a thread.
_BAND = 96
# Columns of the widest tile.
_WIDEST = 2 * LANES


def linear(x: Array, w: Array, bias: Array | None) -> Array:
    """As `reference.linear`."""
    return _product(x, w, bias)


def linear_backward(dy: Array, x: Array, w: Array, need_dx: bool = True) -> tuple[Array | None, Array]:
    """As `reference.linear_backward`."""
    return (_product(dy, w.T, None) if need_dx else None), _product(x.T, dy, None)


def _product(a: Array, b: Array, bias: Array | None) -> Array:
    (rows, depth), (_, columns) = a.shape, b.shape
    c: Array = memory.empty((rows, columns))
    tile = sums_shape(columns)
    tall, _ = height_width(tile)
    start = np.zeros(columns + _WIDEST, np.float32)
    if bias is not None:
        start[:columns] = bias
    (a_line, a_down, a_right), (b_line, b_down, b_right) = _line(a), _line(b)
    _multiply(
        a_line, b_line, start, c.reshape(-1), memory.empty((THREADS, depth * _WIDEST)),
        np.empty((THREADS, 2, tall), np.intp), (rows, depth, columns), (a_down, a_right), (b_down, b_right),
        tile, row_shape(columns),
    )  # fmt: skip
    return c


def _line(a: Array) -> tuple[Array, int, int]:
    """The elements of a matrix as one line, and how far apart rows and columns lie in it."""
    if a.flags.f_contiguous and not a.flags.c_contiguous:
        return a.T.reshape(-1), 1, a.shape[0]
    return np.ascontiguousarray(a).reshape(-1), a.shape[1], 1


@kernel
def _multiply(a, b, bias, c, scratch, places, sizes, a_steps, b_steps, tile, row):
    rows, depth, columns = sizes
    bands, blocks = (rows + _BAND - 1) // _BAND, (columns + tile_columns(tile) - 1) // tile_columns(tile)
    arguments = (a, b, bias, c, scratch, places, sizes, a_steps, b_steps, tile, row)
    for_each(bands * blocks, rows * depth * columns, _multiply_band, arguments)


@body
def _multiply_band(index, worker, a, b, bias, c, scratch, places, sizes, a_steps, b_steps, tile, row):
    """One block of columns for a band of rows of C = A·B."""
    rows, depth, columns = sizes
    height, block = tile_rows(tile), tile_columns(tile)
    blocks = (columns + block - 1) // block
    first_row, first = index // blocks * _BAND, index % blocks * block
    count = min(block, columns - first)
    panel = scratch[worker]
    for k in range(depth):
        source = k * b_steps[0] + first * b_steps[1]
        if count == block and b_steps[1] == 1:
            tile_store(tile_load(row, b, source, 0), panel, k * block, 0)
        else:
            line = panel[k * block : (k + 1) * block]
            for i in range(count):
                line[i] = b[source + i * b_steps[1]]
            for i in range(count, block):
                line[i] = ZERO
    # Where a tile's rows lie in A and in C. The last tile repeats the last row.
    reads, writes = places[worker, 0], places[worker, 1]
    for start in range(first_row, min(rows, first_row + _BAND), height):
        for p in range(height):
            n = min(start + p, rows - 1)
            reads[p], writes[p] = n * a_steps[0], n * columns
        total = tile_load(tile, bias, first, 0)
        for k in range(depth):
            total = tile_rank1(total, a, k * a_steps[1], reads, panel, k * block)
        store_columns(total, tile, c, first, writes, count)
