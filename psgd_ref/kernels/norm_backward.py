"""The gradients of batch normalisation, with those of the ReLU and the residual sum that follow it.

Σ dz and Σ dz·(x − m) of every channel first; then dx, number by number, which is left to a convolution that
reads it (`NormGradient`), or computed here.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import NONE, WIDE, ZERO, flat
from psgd_ref.kernels.borders import clear, copy
from psgd_ref.kernels.channels import channel_total, fold, repeat, room, thread_blocks
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.norm import moved_tile
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.reference import NormGradient
from psgd_ref.kernels.tile import (
    tile_add,
    tile_columns,
    tile_full,
    tile_load,
    tile_load_part,
    tile_multiply_add,
    tile_store_part,
    tile_where_at_most,
)

# Rows of the terms of a `NormGradient`.
_TERMS = 5


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
    return _gradients(NONE, dy, x, y, gamma, mean, var, eps, relu, need_dz, into, beta)


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
    dx: Array = memory.empty(x.shape)
    given, _, dgamma, dbeta = _gradients(flat(dx), dy, x, y, gamma, mean, var, eps, relu, need_dz, into, beta)
    return dx, dgamma, dbeta, given if need_dz else None


def _gradients(
    dx: Array,
    dy: Array,
    x: Array,
    y: Array | None,
    gamma: Array,
    mean: Array,
    var: Array,
    eps: float,
    relu: bool,
    need_dz: bool,
    into: tuple[Array, Array] | None,
    beta: Array | None,
) -> tuple[Array, NormGradient, Array, Array]:
    """`batch_norm_gradient`, and dx where there is room for it."""
    gated = relu and (y is not None or beta is not None)
    dy = np.ascontiguousarray(dy)
    dz = memory.empty(x.shape) if gated and (need_dz or y is not None) else None
    dgamma, dbeta = (np.empty_like(gamma), np.empty_like(gamma)) if into is None else into
    table = np.empty((_TERMS, len(gamma)), np.float32)
    through = NormGradient(x, table, gated and dz is None)
    _backward(
        dx, through.gated, flat(dy), flat(x), flat(y) if gated and y is not None else NONE,
        NONE if dz is None else flat(dz), flat(gamma), flat(beta) if gated and beta is not None else NONE,
        flat(mean), flat(var), float(eps), dgamma, dbeta, table, *room(x),
    )  # fmt: skip
    return dy if dz is None else dz, through, dgamma, dbeta


def passed(dy: Array, through: NormGradient) -> Array:
    """through(dy)."""
    x, terms, gated = through
    dx: Array = memory.empty(x.shape)
    _pass(flat(dy), flat(x), dx.reshape(-1), np.ascontiguousarray(terms), gated, *room(x)[1:])
    return dx


@kernel
def _backward(dx, gated, dy, x, y, dz, gamma, beta, mean, var, eps, dgamma, dbeta, table, sums, work, sizes):
    _gradient_sums(dy, x, y, dz, gamma, beta, mean, var, eps, dgamma, dbeta, table, sums, work, sizes)
    if dx.size > 0:
        _pass(dz if dz.size > 0 else dy, x, dx, table, gated, work, sizes)


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
            moved = moved_tile(x, start + i, left, centre, i)
            gated = _gate(dy, y, start + i, left, moved, factor, shift, i)
            if dz.size > 0:
                tile_store_part(gated, dz, start + i, 0, left)
            tile_store_part(tile_add(tile_load(WIDE, first, i, 0), gated), first, i, 0, left)
            products = tile_multiply_add(gated, moved, tile_load(WIDE, second, i, 0))
            tile_store_part(products, second, i, 0, left)
    fold(first, filled, channels, sums[index, 0])
    fold(second, filled, channels, sums[index, 1])


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
def _input_gradient(index, worker, dy, x, dx, centre, factor, slope, offset, shift, sizes):
    """dx = dz·factor + (x − centre)·slope + offset over one chunk."""
    _, block, chunk = sizes
    last = min(x.size, (index + 1) * chunk)
    for start in range(index * chunk, last, block):
        size = min(block, last - start)
        for i in range(0, size, tile_columns(WIDE)):
            left = size - i
            moved = moved_tile(x, start + i, left, centre, i)
            gated = _gate(dy, x[:0], start + i, left, moved, factor, shift, i)
            out = tile_multiply_add(moved, tile_load(WIDE, slope, i, 0), tile_load(WIDE, offset, i, 0))
            out = tile_multiply_add(gated, tile_load(WIDE, factor, i, 0), out)
            tile_store_part(out, dx, start + i, 0, left)
