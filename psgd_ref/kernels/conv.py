"""Convolution: forward, gradient of the input, gradient of the weights. NHWC, HWIO, float32.

    forward   y[h,w,o]  = b[o] + Σ_{i,j,c} x[h·s+i−p, w·s+j−p, c] · W[i,j,c,o]
    weights   dW[i,j,c,o] = Σ_{h,w} x[h·s+i−p, w·s+j−p, c] · dy[h,w,o]
    input     dx[u,v,c] = Σ over the (i,h), (j,w) with h·s+i−p = u, w·s+j−p = v of dy[h,w,o] · W[i,j,c,o]

Each kernel works on one image at a time, copied into a scratch with a zero border, which stays in the
thread's cache. The border makes every size, stride and padding the same case, and in it the products of
a line (j, c) lie next to each other. Channels that become tile columns are padded to whole tiles, in the
scratch and in the packed weights; so nothing has remainders but the last store.

Stride 1 makes the gradient of the input a forward convolution of dy with flipped, transposed weights. At
stride s the pixels u ≡ a, v ≡ b (mod s) see every s-th row and column of W only: s² small convolutions.
"""

import numpy as np
from numba import get_num_threads

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import flat, gradient_shape, height_width, store_part, sums_shape, up
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.reference import Pair
from psgd_ref.kernels.tile import tile_columns, tile_load, tile_rank1, tile_rows, tile_store

# Weight gradients are summed in so many parts, whatever the number of threads, then the parts in order:
# the bits do not depend on the threads.
PARTS = 16
# Rows of an image that the weight gradient takes at a time, so that both operands stay in the L1 cache.
_PIXELS = 128


def conv2d(x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair) -> Array:
    """As `reference.conv2d`."""
    (images, height, width, inputs), (rows, columns, _, outputs) = x.shape, w.shape
    out_height = (height + 2 * padding[0] - rows) // stride[0] + 1
    out_width = (width + 2 * padding[1] - columns) // stride[1] + 1
    tile = sums_shape(outputs)
    tall, block = height_width(tile)
    line = (width + 2 * padding[1]) * inputs
    # A tile may start at the last pixel and reads on to its full height; those sums are not stored.
    past_end = (tall * stride[1] + columns) * inputs
    y = memory.empty((images, out_height, out_width, outputs))
    _forward(
        flat(x), _bias(bias, up(outputs, block)), y.reshape(-1), _panels(w, block),
        _zeros(get_num_threads(), (height + 2 * padding[0]) * line + past_end),
        (images, height, width, inputs, rows, columns, outputs, out_height, out_width),
        stride, padding, tile,
    )  # fmt: skip
    return y


def _zeros(*shape: int) -> Array:
    zeros = memory.empty(shape)
    zeros.fill(0)
    return zeros


def _panels(w: Array, block: int) -> Array:
    """Weights (i, j, c, o) in the order tiles read them, (o // block, i, j, c, o % block); zeros fill."""
    *taps, outputs = w.shape
    panels = memory.empty((up(outputs, block) // block, *taps, block))
    whole = outputs // block
    panels[:whole] = np.moveaxis(w[..., : whole * block].reshape(*taps, whole, block), -2, 0)
    if whole * block != outputs:
        panels[whole] = 0
        panels[whole, ..., : outputs % block] = w[..., whole * block :]
    return panels.reshape(-1)


def _bias(bias: Array | None, size: int) -> Array:
    padded = np.zeros(size, np.float32)
    if bias is not None:
        padded[: bias.size] = bias
    return padded


@kernel
def _forward(x, bias, y, packed, scratch, sizes, stride, padding, tile):
    for_each(sizes[0], _forward_image, (x, bias, y, packed, scratch, sizes, stride, padding, tile))


@body
def _forward_image(n, worker, x, bias, y, packed, scratch, sizes, stride, padding, tile):
    _, height, width, inputs, rows, columns, outputs, out_height, out_width = sizes
    line = (width + 2 * padding[1]) * inputs
    block = tile_columns(tile)
    image = scratch[worker]
    _insert(x, n * height * width * inputs, image, padding[0] * line + padding[1] * inputs, line,
            height, width, inputs, inputs)  # fmt: skip
    for o in range(0, outputs, block):
        _correlate(
            image, 0, stride[0] * line, stride[1] * inputs, line,
            packed, o * rows * columns * inputs, rows, columns * inputs, bias, o,
            y, n * out_height * out_width * outputs + o, out_width * outputs, outputs,
            out_height, out_width, min(block, outputs - o), tile,
        )  # fmt: skip


@inner
def _insert(x, start, image, at, line, height, width, channels, padded):
    """Copy an image (height, width, channels) inside the border; its pixels get `padded` channels."""
    for h in range(height):
        source, target = start + h * width * channels, at + h * line
        if padded == channels:
            image[target : target + width * channels] = x[source : source + width * channels]
        else:
            for v in range(width):
                for c in range(channels):
                    image[target + v * padded + c] = x[source + v * channels + c]


@inner
def _correlate(image, start, down, step, line, packed, panel, rows, run, bias, o, y, at, y_down, y_step,
               out_height, out_width, count, tile):  # fmt: skip
    """The convolution of one image for one block of output channels; y has strides `y_down` and `y_step`.

    y[h, v, :count] = bias + Σ_{i<rows, k<run} image[start + h·down + v·step + i·line + k] · panel[i, k, :]
    """
    height, block = tile_rows(tile), tile_columns(tile)
    for h in range(out_height):
        for v in range(0, out_width, height):
            sums = tile_load(tile, bias, o, 0)
            corner = start + h * down + v * step
            for i in range(rows):
                source = corner + i * line
                weights = panel + i * run * block
                for k in range(run):
                    sums = tile_rank1(sums, image, source + k, step, packed, weights + k * block)
            store_part(sums, tile, y, at + h * y_down + v * y_step, y_step, out_width - v, count)


def conv2d_backward(
    dy: Array, x: Array, w: Array, stride: Pair, padding: Pair, need_dx: bool = True
) -> tuple[Array | None, Array]:
    """As `reference.conv2d_backward`."""
    dw = _weights_gradient(dy, x, w.shape, stride, padding)
    return (_input_gradient(dy, x.shape, w, stride, padding) if need_dx else None), dw


def _weights_gradient(dy: Array, x: Array, w_shape: tuple[int, ...], stride: Pair, padding: Pair) -> Array:
    (images, height, width, inputs), (rows, columns, _, outputs) = x.shape, w_shape
    _, out_height, out_width, _ = dy.shape
    tile = gradient_shape(outputs)
    tall, block = height_width(tile)
    run, padded = up(columns * inputs, tall), up(outputs, block)
    parts = min(PARTS, images)
    dw = memory.empty(w_shape)
    _weights(
        flat(dy), flat(x), dw.reshape(-1), memory.empty((parts, rows * run * padded)),
        _zeros(get_num_threads(), (height + 2 * padding[0]) * (width + 2 * padding[1]) * inputs + run),
        _zeros(get_num_threads(), out_height * out_width * padded),
        (images, height, width, inputs, rows, columns, outputs, out_height, out_width),
        stride, padding, (run, padded), tile,
    )  # fmt: skip
    return dw


@kernel
def _weights(dy, x, dw, parts, scratch_x, scratch_dy, sizes, stride, padding, padded_sizes, tile):
    _, _, _, inputs, rows, columns, outputs, _, _ = sizes
    run, padded = padded_sizes
    arguments = (dy, x, parts, scratch_x, scratch_dy, sizes, stride, padding, padded_sizes, tile)
    for_each(len(parts), _weights_part, arguments)
    for_each(rows, _sum_parts, (parts, dw, columns * inputs, run, outputs, padded))


@body
def _weights_part(
    part, worker, dy, x, parts, scratch_x, scratch_dy, sizes, stride, padding, padded_sizes, tile
):
    images, height, width, inputs, rows, _, outputs, out_height, out_width = sizes
    run, padded = padded_sizes
    line = (width + 2 * padding[1]) * inputs
    pixels = out_height * out_width
    image, grad, sums = scratch_x[worker], scratch_dy[worker], parts[part]
    sums[:] = 0
    for n in range(images * part // len(parts), images * (part + 1) // len(parts)):
        _insert(x, n * height * width * inputs, image, padding[0] * line + padding[1] * inputs, line,
                height, width, inputs, inputs)  # fmt: skip
        source, start = dy, n * pixels * outputs
        if padded != outputs:
            _insert(dy, start, grad, 0, out_width * padded, out_height, out_width, outputs, padded)
            source, start = grad, 0
        _accumulate(image, stride[0] * line, stride[1] * inputs, line, source, start,
                    sums, rows, run, out_height, out_width, padded, tile)  # fmt: skip


@body
def _sum_parts(i, worker, parts, dw, run, padded_run, outputs, padded_outputs):
    """dw[i] = Σ parts[:, i], in order, without the filling."""
    for k in range(run):
        target, source = (i * run + k) * outputs, (i * padded_run + k) * padded_outputs
        for o in range(outputs):
            dw[target + o] = parts[0, source + o]
        for part in range(1, len(parts)):
            for o in range(outputs):
                dw[target + o] += parts[part, source + o]


@inner
def _accumulate(image, down, step, line, dy, start, sums, rows, run, out_height, out_width, outputs, tile):
    """sums[i, k, o] += Σ_{h,v} image[h·down + v·step + i·line + k] · dy[start + (h, v, o)]."""
    height, block = tile_rows(tile), tile_columns(tile)
    band = max(1, _PIXELS // out_width)
    for first in range(0, out_height, band):
        last = min(first + band, out_height)
        for i in range(rows):
            for k in range(0, run, height):
                for o in range(0, outputs, block):
                    target = (i * run + k) * outputs + o
                    total = tile_load(tile, sums, target, outputs)
                    for h in range(first, last):
                        source = h * down + i * line + k
                        grad = start + h * out_width * outputs + o
                        for v in range(out_width):
                            total = tile_rank1(total, image, source + v * step, 1, dy, grad + v * outputs)
                    tile_store(total, sums, target, outputs)


def _input_gradient(dy: Array, x_shape: tuple[int, ...], w: Array, stride: Pair, padding: Pair) -> Array:
    (images, height, width, inputs), (rows, columns, _, outputs) = x_shape, w.shape
    _, out_height, out_width, _ = dy.shape
    tile = sums_shape(inputs)
    tall, block = height_width(tile)
    # Taps of W that one residue class sees, less one: how far above and left of dy it looks.
    top, left = (rows - 1) // stride[0], (columns - 1) // stride[1]
    down = max(out_height, (height - 1 + padding[0]) // stride[0] + 1)
    right = max(out_width, (width - 1 + padding[1]) // stride[1] + 1)
    line = (left + right) * outputs
    past_end = (tall + left + 1) * outputs
    scratch = _zeros(get_num_threads(), (top + down) * line + past_end)
    bias = np.zeros(up(inputs, block), np.float32)
    dx = memory.empty(x_shape)
    sizes = (images, height, width, inputs, rows, columns, outputs, out_height, out_width)
    for a, b in np.ndindex(stride):
        taps = w[a :: stride[0], b :: stride[1]]
        panels = _panels(taps[::-1, ::-1].swapaxes(2, 3), block)
        _input(
            flat(dy), bias, dx.reshape(-1), panels, scratch, sizes, stride, padding, (top, left, line),
            (a, b), taps.shape[:2], tile,
        )  # fmt: skip
    return dx


@kernel
def _input(dy, bias, dx, packed, scratch, sizes, stride, padding, border, residue, taps, tile):
    arguments = (dy, bias, dx, packed, scratch, sizes, stride, padding, border, residue, taps, tile)
    for_each(sizes[0], _input_image, arguments)


@body
def _input_image(
    n, worker, dy, bias, dx, packed, scratch, sizes, stride, padding, border, residue, taps, tile
):
    """The pixels u = s·q + residue − p of dx, which see the rows q, q−1, … of dy."""
    _, height, width, inputs, _, _, outputs, out_height, out_width = sizes
    first_down = max(0, -((residue[0] - padding[0]) // stride[0]))
    first_right = max(0, -((residue[1] - padding[1]) // stride[1]))
    u = first_down * stride[0] + residue[0] - padding[0]
    v = first_right * stride[1] + residue[1] - padding[1]
    top, left, line = border
    block = tile_columns(tile)
    image = scratch[worker]
    _insert(dy, n * out_height * out_width * outputs, image, top * line + left * outputs, line,
            out_height, out_width, outputs, outputs)  # fmt: skip
    corner = (top + first_down - taps[0] + 1) * line + (left + first_right - taps[1] + 1) * outputs
    for c in range(0, inputs, block):
        _correlate(
            image, corner, line, outputs, line,
            packed, c * taps[0] * taps[1] * outputs, taps[0], taps[1] * outputs, bias, c,
            dx, ((n * height + u) * width + v) * inputs + c,
            stride[0] * width * inputs, stride[1] * inputs,
            -((u - height) // stride[0]), -((v - width) // stride[1]), min(block, inputs - c), tile,
        )  # fmt: skip
