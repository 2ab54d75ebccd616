"""Batch normalisation with the ReLU and the residual sum that follow it; float32, channels last.

Two passes over the rows, forward and backward: sums for each channel (cut as `channels.py` says), then what
follows from them, number by number; a convolution that reads the result can take the second pass over. The
variance is accurate: it is summed about the first row rather than about zero.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import NONE, ZERO, flat
from psgd_ref.kernels.borders import clear, copy
from psgd_ref.kernels.channels import FLAT, WIDE, channel_total, fold, repeat, room, thread_blocks
from psgd_ref.kernels.compile import LANES, body, inner, kernel, strict
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.reference import NormGradient
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
    tile_where_at_most,
    tile_where_less,
)

# Rows of the terms of a `NormGradient`.
_TERMS = 5
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
    mean, var = np.empty((2, len(gamma)), np.float32)
    _train(
        flat(x), NONE if residual is None else flat(residual), y.reshape(-1), flat(gamma), flat(beta), mean,
        var, running_mean, running_var, float(momentum), float(eps), relu, *room(x),
    )  # fmt: skip
    return y, mean, var


def batch_norm_statistics(
    x: Array, running_mean: Array, running_var: Array, momentum: float
) -> tuple[Array, Array]:
    """As `reference.batch_norm_statistics`."""
    mean, var = np.empty((2, x.shape[-1]), np.float32)
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


def batch_norm_gradient(
    dy: Array,
    x: Array,
    y: Array | None,
    gamma: Array,
    mean: Array,
    var: Array,
    eps: float,
    relu: bool,
    need_dz: bool = True,
    into: tuple[Array, Array] | None = None,
    beta: Array | None = None,
) -> tuple[Array, NormGradient, Array, Array]:
    """As `reference.batch_norm_gradient`; dz is made where it is wanted, or where only y has its sign."""
    gated = relu and (y is not None or beta is not None)
    dy = np.ascontiguousarray(dy)
    dz = memory.empty(x.shape) if gated and (need_dz or y is not None) else None
    dgamma, dbeta = (np.empty_like(gamma), np.empty_like(gamma)) if into is None else into
    table = np.empty((_TERMS, len(gamma)), np.float32)
    _gradient_sums(
        flat(dy), flat(x), flat(y) if gated and y is not None else NONE, NONE if dz is None else flat(dz),
        flat(gamma), flat(beta) if gated and beta is not None else NONE, flat(mean), flat(var), float(eps),
        dgamma, dbeta, table, *room(x),
    )  # fmt: skip
    return dy if dz is None else dz, NormGradient(x, table, gated and dz is None), dgamma, dbeta


def batch_norm_backward(
    dy: Array,
    x: Array,
    y: Array | None,
    gamma: Array,
    mean: Array,
    var: Array,
    eps: float,
    relu: bool,
    need_dz: bool = True,
    into: tuple[Array, Array] | None = None,
    beta: Array | None = None,
) -> tuple[Array, Array, Array, Array | None]:
    """As `reference.batch_norm_backward`."""
    given, through, dgamma, dbeta = batch_norm_gradient(
        dy, x, y, gamma, mean, var, eps, relu, need_dz, into, beta
    )
    return passed(given, through), dgamma, dbeta, given if need_dz else None


def passed(dy: Array, through: NormGradient) -> Array:
    """through(dy)."""
    x, terms, gated = through
    dx: Array = memory.empty(x.shape)
    _pass(flat(dy), flat(x), dx.reshape(-1), np.ascontiguousarray(terms), gated, *room(x)[1:])
    return dx


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
    for c in range(len(gamma)):
        centre[c], factor[c], shift[c] = mean[c], gamma[c] / np.sqrt(var[c] + eps), beta[c]
    for t in range(3):
        repeat(work[t], len(gamma))
    arguments = (x, residual, y, centre, factor, shift, relu, sizes)
    for_each((x.size + chunk - 1) // chunk, x.size, _normalise_chunk, arguments)


@kernel
def _gradient_sums(dy, x, y, dz, gamma, beta, mean, var, eps, dgamma, dbeta, table, sums, work, sizes):
    """Σ dz and Σ dz·(x − m), and the table of what `_pass` multiplies with; dz is stored if there is room."""
    channels = len(gamma)
    count = x.size / channels
    centre, factor = work[0], work[1]
    # Without a y its sign is that of (x − m)·factor + shift.
    shift = work[2] if beta.size > 0 else work[2, :0]
    for c in range(channels):
        centre[c], factor[c] = mean[c], gamma[c] / np.sqrt(var[c] + eps)
    copy(beta, shift[: len(beta)])
    for row in (centre, factor, shift):
        repeat(row, channels)
    arguments = (dy, y, x, dz, centre, factor, shift, sums, work, sizes)
    for_each(len(sums), x.size, _products, arguments)
    # dx = factor·(dz − mean(dz) − (x − m)·mean(dz·(x − m))/(v+ε)) = factor·dz + slope·(x − m) + offset
    for c in range(channels):
        total, product = channel_total(sums, 0, c), channel_total(sums, 1, c)
        std = np.sqrt(var[c] + eps)
        dbeta[c], dgamma[c] = total, product / std
        table[0, c], table[1, c] = centre[c], factor[c]
        table[2, c] = -gamma[c] * product / (count * std * std * std)
        table[3, c] = -gamma[c] * total / (count * std)
        table[4, c] = beta[c] if beta.size > 0 else ZERO


@kernel
def _pass(dy, x, dx, table, gated, work, sizes):
    """dx = dz·factor + (x − m)·slope + offset, dz = dy or, gated, where (x − m)·factor + shift > 0."""
    _, _, chunk = sizes
    channels = table.shape[1]
    for t in range(_TERMS):
        copy(table[t], work[t, :channels])
        repeat(work[t], channels)
    shift = work[4] if gated else work[4, :0]
    arguments = (dy, x, dx, work[0], work[1], work[2], work[3], shift, sizes)
    for_each((x.size + chunk - 1) // chunk, x.size, _input_gradient, arguments)


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


@body
def _products(index, worker, dy, y, x, dz, centre, factor, shift, sums, work, sizes):
    """Σ dz and Σ dz·(x − centre) over the rows of one chunk; dz is stored if there is room."""
    first, second = thread_blocks(work, worker)
    channels, block, chunk = sizes
    begin, last = index * chunk, min(x.size, (index + 1) * chunk)
    filled = min(block, last - begin)
    clear(first[:filled])
    clear(second[:filled])
    for start in range(begin, last, block):
        size = min(block, last - start)
        for i in range(0, size, tile_columns(WIDE)):
            left = size - i
            moved = _moved(x, start + i, left, centre, i)
            gated = _gate(dy, y, start + i, left, moved, factor, shift, i)
            if dz.size > 0:
                tile_store_part(gated, dz, start + i, 0, left)
            tile_store_part(tile_add(tile_load(WIDE, first, i, 0), gated), first, i, 0, left)
            products = tile_multiply_add(gated, moved, tile_load(WIDE, second, i, 0))
            tile_store_part(products, second, i, 0, left)
    fold(first, filled, channels, sums[index, 0])
    fold(second, filled, channels, sums[index, 1])


@inner
def _moved(x, start, columns, centre, i):
    """A tile of x − centre; i : place of its first number in a block."""
    return tile_subtract(tile_load_part(WIDE, x, start, 0, columns), tile_load(WIDE, centre, i, 0))


@inner
def _gate(dy, y, start, columns, moved, factor, shift, i):
    """A tile of dz = dy where y > 0 or NaN, else 0; dy itself with neither y nor shift."""
    given, zero = tile_load_part(WIDE, dy, start, 0, columns), tile_full(WIDE, ZERO)
    if y.size > 0:
        return tile_where_at_most(tile_load_part(WIDE, y, start, 0, columns), zero, zero, given)
    if shift.size > 0:
        out = tile_multiply_add(moved, tile_load(WIDE, factor, i, 0), tile_load(WIDE, shift, i, 0))
        return tile_where_at_most(out, zero, zero, given)
    return given


@body
def _normalise_chunk(index, worker, x, residual, y, centre, factor, shift, relu, sizes):
    """y = (x − centre)·factor + shift [+ residual], then max(y, 0) with `relu`, over one chunk."""
    _, block, chunk = sizes
    last, zero = min(x.size, (index + 1) * chunk), tile_full(WIDE, ZERO)
    for start in range(index * chunk, last, block):
        size = min(block, last - start)
        for i in range(0, size, tile_columns(WIDE)):
            left = size - i
            out = _moved(x, start + i, left, centre, i)
            out = tile_multiply_add(out, tile_load(WIDE, factor, i, 0), tile_load(WIDE, shift, i, 0))
            if residual.size > 0:
                out = tile_add(out, tile_load_part(WIDE, residual, start + i, 0, left))
            if relu:
                out = tile_where_less(out, zero, zero, out)
            tile_store_part(out, y, start + i, 0, left)


@body
def _input_gradient(index, worker, dy, x, dx, centre, factor, slope, offset, shift, sizes):
    """dx = dz·factor + (x − centre)·slope + offset over one chunk."""
    _, block, chunk = sizes
    last = min(x.size, (index + 1) * chunk)
    for start in range(index * chunk, last, block):
        size = min(block, last - start)
        for i in range(0, size, tile_columns(WIDE)):
            left = size - i
            moved = _moved(x, start + i, left, centre, i)
            gated = _gate(dy, x[:0], start + i, left, moved, factor, shift, i)
            out = tile_multiply_add(moved, tile_load(WIDE, slope, i, 0), tile_load(WIDE, offset, i, 0))
            out = tile_multiply_add(gated, tile_load(WIDE, factor, i, 0), out)
            tile_store_part(out, dx, start + i, 0, left)
