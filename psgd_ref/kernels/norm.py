"""Batch normalisation with the ReLU and the residual sum that follow it; float32, channels last.

Two passes over the rows, forward and backward: sums for each channel (cut as `channels.py` says), then what
follows from them, number by number; a convolution that reads the result can take the second pass over. The
variance is accurate: it is summed about the first row rather than about zero.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import FLAT, NONE, WIDE, ZERO, flat
from psgd_ref.kernels.borders import clear
from psgd_ref.kernels.channels import channel_total, fold, repeat, room, thread_blocks
from psgd_ref.kernels.compile import LANES, body, inner, kernel, strict
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.tile import (
    shape,
    tile_add,
    tile_columns,
    tile_full,
    tile_load,
    tile_load_part,
    tile_multiply_add,
    tile_rows,
    tile_store_part,
    tile_subtract,
    tile_sum_products,
    tile_sum_rows,
    tile_where_less,
)

# A tile for sums over some blocks at once, which read and write the sums once for all.
_TALL = shape(4, 1, LANES)


def batch_norm_train(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    momentum: float,
    eps: float,
    residual: Array | None,
    relu: bool,
) -> tuple[Array, Array, Array]:
    """As `reference.batch_norm_train`."""
    y: Array = memory.empty(x.shape)
    mean, var = np.empty_like(running_mean), np.empty_like(running_var)
    _train(
        flat(x), NONE if residual is None else flat(residual), y.reshape(-1), flat(gamma), flat(beta), mean,
        var, running_mean, running_var, float(momentum), float(eps), relu, *room(x),
    )  # fmt: skip
    return y, mean, var


def batch_norm_statistics(
    x: Array, running_mean: Array, running_var: Array, momentum: float
) -> tuple[Array, Array]:
    """As `reference.batch_norm_statistics`."""
    mean, var = np.empty_like(running_mean), np.empty_like(running_var)
    _measure(flat(x), mean, var, running_mean, running_var, float(momentum), *room(x))
    return mean, var


def batch_norm_eval(
    x: Array,
    gamma: Array,
    beta: Array,
    mean: Array,
    var: Array,
    eps: float,
    residual: Array | None,
    relu: bool,
) -> Array:
    """As `reference.batch_norm_eval`."""
    y: Array = memory.empty(x.shape)
    _, work, sizes = room(x)
    _normalise(
        flat(x), NONE if residual is None else flat(residual), y.reshape(-1), flat(gamma), flat(beta),
        flat(mean), flat(var), float(eps), relu, work, sizes,
    )  # fmt: skip
    return y


@kernel
def _train(
    x, residual, y, gamma, beta, mean, var, running_mean, running_var, momentum, eps, relu, sums, work, sizes
):
    _measure(x, mean, var, running_mean, running_var, momentum, sums, work, sizes)
    _normalise(x, residual, y, gamma, beta, mean, var, eps, relu, work, sizes)


@kernel
def _measure(x, mean, var, running_mean, running_var, momentum, sums, work, sizes):
    _statistics(x, mean, var, sums, work, sizes)
    count = x.size / len(mean)
    _move(running_mean, mean, 1.0, momentum)
    _move(running_var, var, count / max(count - 1, 1.0), momentum)


@strict
def _move(running, value, factor, momentum):
    """running += momentum (factor · value − running), each operation rounded as the oracle's are."""
    factor, momentum = np.float32(factor), np.float32(momentum)
    for c in range(len(running)):
        running[c] += momentum * (value[c] * factor - running[c])


@inner
def _statistics(x, mean, var, sums, work, sizes):
    channels = len(mean)
    count, centre = x.size / channels, work[0]
    # Any number near the mean will do; one that is not finite would spoil a finite sum.
    for c in range(channels):
        centre[c] = x[c] if x.size > 0 and np.isfinite(x[c]) else ZERO
    repeat(centre, channels)
    for_each(len(sums), x.size, _moments, (x, centre, sums, work, sizes))
    for c in range(channels):
        total, squares = channel_total(sums, 0, c), channel_total(sums, 1, c)
        mean[c] = centre[c] + total / count
        # Rounding must not make it negative; NaN stays NaN.
        spread = squares / count - (total / count) ** 2
        var[c] = 0.0 if spread < 0 else spread


@kernel
def _normalise(x, residual, y, gamma, beta, mean, var, eps, relu, work, sizes):
    _, _, chunk = sizes
    centre, factor, shift = work[0], work[1], work[2]
    fill_table((gamma, beta, mean, var, eps), work)
    for t in range(3):
        repeat(work[t], len(gamma))
    arguments = (x, residual, y, centre, factor, shift, relu, sizes)
    for_each((x.size + chunk - 1) // chunk, x.size, _normalise_chunk, arguments)


@inner
def fill_table(norm, table):
    """Mean, factor and shift of every channel in the first three rows of a table."""
    gamma, beta, mean, var, eps = norm
    for c in range(len(gamma)):
        table[0, c], table[1, c], table[2, c] = mean[c], gamma[c] / np.sqrt(var[c] + eps), beta[c]


@body
def _moments(index, worker, x, centre, sums, work, sizes):
    """Σ (x − centre) and Σ (x − centre)² over the rows of one chunk."""
    first, second = thread_blocks(work, worker)
    channels, block, chunk = sizes
    start, last = index * chunk, min(x.size, (index + 1) * chunk)
    filled = min(block, last - start)
    clear(first[:filled])
    clear(second[:filled])
    while start + tile_rows(_TALL) * block <= last:
        _add_moments(x, start, block, block, centre, first, second, _TALL)
        start += tile_rows(_TALL) * block
    while start < last:
        _add_moments(x, start, block, min(block, last - start), centre, first, second, FLAT)
        start += block
    fold(first, filled, channels, sums[index, 0])
    fold(second, filled, channels, sums[index, 1])


@inner
def _add_moments(x, start, block, size, centre, first, second, tile):
    """Of as many blocks as the tile has rows."""
    for i in range(0, size, tile_columns(tile)):
        left = size - i
        moved = tile_subtract(tile_load_part(tile, x, start + i, block, left), tile_load(tile, centre, i, 0))
        total = tile_sum_rows(tile_load(FLAT, first, i, 0), moved)
        squares = tile_sum_products(tile_load(FLAT, second, i, 0), moved, moved)
        tile_store_part(total, first, i, 0, left)
        tile_store_part(squares, second, i, 0, left)


@inner
def moved_tile(x, start, columns, centre, i):
    """A tile of x − centre; i : place of its first number in a block."""
    return tile_subtract(tile_load_part(WIDE, x, start, 0, columns), tile_load(WIDE, centre, i, 0))


@body
def _normalise_chunk(index, worker, x, residual, y, centre, factor, shift, relu, sizes):
    """y = (x − centre)·factor + shift [+ residual], then max(y, 0) with `relu`, over one chunk."""
    _, block, chunk = sizes
    last, zero = min(x.size, (index + 1) * chunk), tile_full(WIDE, ZERO)
    for start in range(index * chunk, last, block):
        size = min(block, last - start)
        for i in range(0, size, tile_columns(WIDE)):
            left = size - i
            out = moved_tile(x, start + i, left, centre, i)
            out = tile_multiply_add(out, tile_load(WIDE, factor, i, 0), tile_load(WIDE, shift, i, 0))
            if residual.size > 0:
                out = tile_add(out, tile_load_part(WIDE, residual, start + i, 0, left))
            if relu:
                out = tile_where_less(out, zero, zero, out)
            tile_store_part(out, y, start + i, 0, left)
