"""Convolution: forward, gradient of the input, gradient of the weights (`weight_gradient.py`). NHWC, HWIO.

    forward   y[h,w,o]    = b[o] + Σ_{i,j,c} x[h·s+i−p, w·s+j−p, c] · W[i,j,c,o]
    weights   dW[i,j,c,o] = Σ_{h,w} x[h·s+i−p, w·s+j−p, c] · dy[h,w,o]
    input     dx[u,v,c]   = Σ over the i, j, h, w with h·s+i−p = u, w·s+j−p = v of Σ_o dy[h,w,o] · W[i,j,c,o]

An image is copied into a scratch with a zero border, which stays in the thread's cache. The border makes
every size, stride and padding the same case, and in it the products of a line (j, c) lie next to each
other: a pixel is one offset into the scratch, and the sum over (i, j, c) runs over lines of numbers from
there (`plans.py`). Weights are packed in panels as wide as a tile, zeros filling the last.

At stride 1 the gradient of the input is a forward convolution of dy with flipped, transposed weights. At
stride s the pixels u ≡ a, v ≡ b (mod s) see every s-th row and column of W: s² small convolutions.

What is NaN or infinite spoils every result that it meets at a pixel of the image, and some that it meets at
the border's zeros only: products with them are left out only where a whole line of them lies in the border.
So results that are not finite are left to the oracle, for which padding is absent.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory, winograd, winograd_backward
from psgd_ref.kernels.blocks import FLAT, NONE, ZERO, flat
from psgd_ref.kernels.borders import clear, insert
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.finite import all_finite
from psgd_ref.kernels.norm import batch_norm_eval
from psgd_ref.kernels.norm_backward import passed
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.plans import Plan, forward_plan, input_plans
from psgd_ref.kernels.reference import After, Norm, NormGradient, Pair
from psgd_ref.kernels.tile import (
    tile_columns,
    tile_full,
    tile_load,
    tile_load_part,
    tile_rank1,
    tile_rows,
    tile_store,
    tile_store_part,
    tile_sum_products,
    tile_total,
)
from psgd_ref.kernels.weight_gradient import weight_gradient


def conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    stride: Pair,
    padding: Pair,
    norm: Norm | None = None,
    after: After | None = None,
) -> Array | None:
    """As `reference.conv2d`; None where a result is not finite."""
    if winograd.pays(x.shape[1:], w.shape, stride, padding):
        return winograd.conv2d(x, w, bias, padding, norm, after)
    if norm is not None:
        x = batch_norm_eval(x, *norm, None, True)
    plan = forward_plan(x.shape, w.shape, stride, padding)
    y: Array = memory.empty(plan.result)
    if not _correlate(x, w, bias, y, plan):
        return None
    return y if after is None else batch_norm_eval(y, *after.norm, after.residual, after.relu)


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pair,
    need_dx: bool = True,
    into: Array | None = None,
    norm: Norm | None = None,
    plus: Array | None = None,
    through: NormGradient | None = None,
) -> tuple[Array | None, Array] | None:
    """As `reference.conv2d_backward`; None where a result is not finite."""
    dw: Array = memory.empty(w.shape) if into is None else into
    if winograd.pays(x.shape[1:], w.shape, stride, padding):
        dx, finite = winograd_backward.conv2d_backward(dy, x, w, dw, padding, need_dx, norm, plus, through)
        return (dx, dw) if finite else None
    if norm is not None:
        x = batch_norm_eval(x, *norm, None, True)
    if through is not None:
        dy = passed(dy, through)
    if not weight_gradient(dy, x, dw, stride, padding):
        return None
    if not need_dx:
        return None, dw
    dx = memory.empty(x.shape)
    plans = input_plans(x.shape, dy.shape, w.shape, stride, padding)
    if not all(_correlate(dy, w, None, dx, plan) for plan in plans):
        return None
    if plus is not None:
        dx += plus
    return dx, dw


def _correlate(x: Array, w: Array, bias: Array | None, y: Array, plan: Plan) -> bool:
    """y[n, writes[p] + o] = b[o] + Σ_{i,j,c} X[n, reads[p] + (i, j, c)] · W, X the bordered image.

    Returns whether all of them are finite.
    """
    finite: bool = _sums(
        flat(x), flat(w), NONE if bias is None else flat(bias), flat(y), *memory.scratch(plan.room),
        np.empty(plan.images[0], np.float32), (plan.reads, plan.writes, plan.products, plan.spans),
        plan.images, plan.border, plan.starts, plan.weights, plan.taps, plan.together, plan.tile, plan.row,
    )  # fmt: skip
    return finite


@kernel
def _sums(x, w, bias, y, room, checks, offsets, sizes, border, starts, weights, taps, together, tile, row):
    products = offsets[2]
    outputs = together[0] * taps[3]
    padded = (outputs + tile_columns(tile) - 1) // tile_columns(tile) * tile_columns(tile)
    packed = (1 + len(products)) * padded
    first, panels, scratch = room[:padded], room[padded:packed], room[packed:]
    for o in range(padded):
        first[o] = bias[o % taps[3]] if bias.size > 0 and o < outputs else ZERO
    if together[0] > 1:
        _pack_joined(w, weights, taps, together, panels, padded)
    else:
        _pack(w, weights, taps, panels, tile_columns(tile))
    clear(scratch)
    arguments = (x, panels, first, y, scratch, checks, offsets, sizes, border, starts, outputs, tile, row)
    for_each(sizes[0], sizes[0] * sizes[3] * len(products), _sums_image, arguments)
    return all_finite(checks)


@inner
def _pack(w, weights, taps, panels, block):
    """Weights (i, j, c, o) in the order tiles read them, (o // block, i, j, c, o % block); zeros fill."""
    rows, columns, inputs, outputs = taps
    start, down, right, inward, across = weights
    target = 0
    for o in range(0, outputs, block):
        count = min(block, outputs - o)
        for i in range(rows):
            for j in range(columns):
                source = start + i * down + j * right + o * across
                if across == 1:
                    for c in range(inputs):
                        for k in range(0, block, tile_columns(FLAT)):
                            row = tile_load_part(FLAT, w, source + c * inward + k, 0, count - k)
                            tile_store(row, panels, target + c * block + k, 0)
                else:
                    # Of a transposed matrix the columns are the lines of memory: inward is 1.
                    panel = panels[target : target + inputs * block]
                    for k in range(count):
                        line = w[source + k * across : source + k * across + inputs]
                        for c in range(inputs):
                            panel[c * block + k] = line[c]
                    for k in range(count, block):
                        for c in range(inputs):
                            panel[c * block + k] = ZERO
                target += inputs * block


@inner
def _pack_joined(w, weights, taps, together, panels, block):
    """As `_pack`, for pixels side by side: (i, j, c, pixel, o), zeros where j is outside a pixel's window."""
    rows, columns, inputs, outputs = taps
    start, down, right, inward, across = weights
    pixels, step = together
    clear(panels)
    wide = columns + (pixels - 1) * step
    for i in range(rows):
        for j in range(columns):
            for c in range(inputs):
                source = start + i * down + j * right + c * inward
                for pixel in range(pixels):
                    target = ((i * wide + j + pixel * step) * inputs + c) * block + pixel * outputs
                    for o in range(outputs):
                        panels[target + o] = w[source + o * across]


@body
def _sums_image(
    n, worker, x, panels, bias, y, scratch, checks, offsets, sizes, border, starts, outputs, tile, row
):
    """The convolution of image n, one block of output channels and one tile of pixels after the other."""
    (_, height, width, y_size), (reads, writes, products, spans), (size, line, at) = sizes, offsets, border
    tall, block = tile_rows(tile), tile_columns(tile)
    image = scratch[worker * size : (worker + 1) * size]
    insert(x, n, height, width, image, (line, at))
    # Zero times what is finite, and so finite as long as all of it is.
    check, zeros = tile_full(row, ZERO), tile_full(tile, ZERO)
    for o in range(0, outputs, block):
        for index in range(len(spans)):
            # The tile's rows are any pixels, those of the next line too.
            pixel = index * tall
            rows_read, rows_written = reads[pixel : pixel + tall], writes[pixel : pixel + tall]
            sums = tile_load(tile, bias, o, 0)
            for k in range(spans[index, 0], spans[index, 1]):
                weights = o * len(products) + k * block
                sums = tile_rank1(sums, image, starts[0] + products[k], rows_read, panels, weights)
            check = tile_sum_products(check, sums, zeros)
            tile_store_part(sums, y, n * y_size + starts[1] + o, rows_written, outputs - o)
    checks[n] = tile_total(check)
