"""Convolution: forward, gradient of the input, gradient of the weights. NHWC, HWIO, float32.

    forward   y[h,w,o]    = b[o] + Σ_{i,j,c} x[h·s+i−p, w·s+j−p, c] · W[i,j,c,o]
    weights   dW[i,j,c,o] = Σ_{h,w} x[h·s+i−p, w·s+j−p, c] · dy[h,w,o]
    input     dx[u,v,c]   = Σ over the i, j, h, w with h·s+i−p = u, w·s+j−p = v of Σ_o dy[h,w,o] · W[i,j,c,o]

An image is copied into a scratch with a zero border, which stays in the thread's cache. The border makes
every size, stride and padding the same case, and in it the products of a line (j, c) lie next to each
other: a pixel is one offset into the scratch, and the sum over (i, j, c) runs over `rows` lines of `run`
numbers from there. Weights are packed in panels as wide as a tile, zeros filling the last.

At stride 1 the gradient of the input is a forward convolution of dy with flipped, transposed weights. At
stride s the pixels u ≡ a, v ≡ b (mod s) see every s-th row and column of W: s² small convolutions. (A weight
that is NaN or infinite spoils more pixels of it than in the oracle: it also meets the border's zeros.)
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory, winograd
from psgd_ref.kernels.blocks import flat, gradient_shape, height_width, store_columns, sums_shape, up
from psgd_ref.kernels.borders import clear, copy, insert
from psgd_ref.kernels.compile import body, kernel
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.reference import Indices, Pair
from psgd_ref.kernels.tile import tile_columns, tile_load, tile_rank1, tile_rows, tile_store

# Weight gradients are summed in so many parts, whatever the number of threads, then the parts in order:
# the bits do not depend on the threads.
PARTS = 16
# Pixels that the weight gradient takes at a time, so that both operands stay in the L1 cache; of small
# images several.
_BAND = 128


@dataclass(frozen=True)
class _Plan:
    """Where a correlation reads and writes, the same for every image.

    border : size of a bordered image, length of its lines, offset of the image in it
    reads, writes : offset of every pixel in a bordered image and in an image of the result
    starts : offset of the first read and of the first write; pixels : how many there are
    """

    border: tuple[int, int, int]
    reads: Indices
    writes: Indices
    starts: Pair
    pixels: int


def conv2d(x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair) -> Array:
    """As `reference.conv2d`."""
    if winograd.pays(x.shape[1:], w.shape, stride, padding, winograd.SUMS):
        return winograd.conv2d(x, w, bias, padding)
    size, plan = _forward_plan(x.shape[1:], w.shape, stride, padding)
    y: Array = memory.empty((x.shape[0], *size, w.shape[3]))
    _correlate(x, w, bias, y, plan)
    return y


def conv2d_backward(
    dy: Array, x: Array, w: Array, stride: Pair, padding: Pair, need_dx: bool = True
) -> tuple[Array | None, Array]:
    """As `reference.conv2d_backward`."""
    dw = _weights_gradient(dy, x, w.shape, stride, padding)
    return (_input_gradient(dy, x.shape, w, stride, padding) if need_dx else None), dw


def _input_gradient(dy: Array, x_shape: tuple[int, ...], w: Array, stride: Pair, padding: Pair) -> Array:
    if winograd.pays(x_shape[1:], w.shape, stride, padding, winograd.SUMS):
        flipped = w[::-1, ::-1].swapaxes(2, 3)
        return winograd.conv2d(dy, flipped, None, (2 - padding[0], 2 - padding[1]))
    dx: Array = memory.empty(x_shape)
    for (i, j), plan in _input_plans(x_shape[1:], dy.shape[1:], w.shape, stride, padding):
        taps = w[i :: stride[0], j :: stride[1]][::-1, ::-1].swapaxes(2, 3)
        _correlate(dy, taps, None, dx, plan)
    return dx


def _weights_gradient(dy: Array, x: Array, w_shape: tuple[int, ...], stride: Pair, padding: Pair) -> Array:
    if winograd.pays(x.shape[1:], w_shape, stride, padding, winograd.GRADIENT):
        return winograd.weights_gradient(dy, x, padding, PARTS)
    (images, height, width, inputs), (rows, columns, _, outputs) = x.shape, w_shape
    _, plan = _forward_plan(x.shape[1:], w_shape, stride, padding)
    tile = gradient_shape(outputs)
    tall, block = height_width(tile)
    run, padded = up(columns * inputs, tall), up(outputs, block)
    stack = max(1, min(_BAND // plan.pixels, images // PARTS))
    dw: Array = memory.empty(w_shape)
    _weights(
        flat(dy), flat(x), dw.reshape(-1), memory.empty((min(PARTS, images), rows * run * padded)),
        # The last tile of a line reads on beyond it; those rows of the sum are left out.
        memory.zeros((THREADS, stack * plan.border[0] + run)),
        # A gradient that fills its tiles is read where it lies.
        memory.zeros((THREADS, stack * plan.pixels * padded if padded != outputs else 0)),
        plan.reads, plan.pixels, stack, (images, height, width * inputs, outputs), plan.border,
        (rows, columns * inputs, run, padded), tile,
    )  # fmt: skip
    return dw


@lru_cache(maxsize=1024)
def _forward_plan(
    image: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair
) -> tuple[Pair, _Plan]:
    """Height and width of the result for images (H, W, C), and the plan of the convolution."""
    (height, width, inputs), (rows, columns, _, outputs) = image, w_shape
    bordered = (height + 2 * padding[0], width + 2 * padding[1])
    size = ((bordered[0] - rows) // stride[0] + 1, (bordered[1] - columns) // stride[1] + 1)
    line = bordered[1] * inputs
    return size, _Plan(
        (bordered[0] * line, line, padding[0] * line + padding[1] * inputs),
        _pixels(size, stride[0] * line, stride[1] * inputs),
        _pixels(size, size[1] * outputs, outputs),
        (0, 0),
        size[0] * size[1],
    )


@lru_cache(maxsize=1024)
def _input_plans(
    image: tuple[int, ...], gradient: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair
) -> list[tuple[Pair, _Plan]]:
    """The first row and column of W in each of the convolutions of dy that make up dx, and their plans."""
    (height, width, inputs), (*out, outputs) = image, gradient
    # Rows and columns of dy above and left of the pixel q, and how far q goes beyond dy.
    before = [(w_shape[i] - 1) // stride[i] for i in (0, 1)]
    lines, columns = (before[i] + max(out[i], (image[i] - 1 + padding[i]) // stride[i] + 1) for i in (0, 1))
    line = columns * outputs
    plans = []
    for residue in product(range(stride[0]), range(stride[1])):
        taps = [-((residue[i] - w_shape[i]) // stride[i]) for i in (0, 1)]
        # Along each axis the pixels u = s·q + residue − p ≥ 0 see dy[q], dy[q − 1], …, one for each tap.
        q = [max(0, -((residue[i] - padding[i]) // stride[i])) for i in (0, 1)]
        u, v = (stride[i] * q[i] + residue[i] - padding[i] for i in (0, 1))
        size = (-((u - height) // stride[0]), -((v - width) // stride[1]))
        corner = [before[i] + q[i] - taps[i] + 1 for i in (0, 1)]
        if min(size) > 0:
            plan = _Plan(
                (lines * line, line, before[0] * line + before[1] * outputs),
                _pixels(size, line, outputs),
                _pixels(size, stride[0] * width * inputs, stride[1] * inputs),
                (corner[0] * line + corner[1] * outputs, (u * width + v) * inputs),
                size[0] * size[1],
            )
            plans.append((residue, plan))
    return plans


# A multiple of the height of every tile for sums.
_REPEATS = 24


def _pixels(size: Pair, down: int, right: int) -> Indices:
    """Offset of every pixel of an image, h·down + v·right, the last one repeated to fill any tile."""
    offsets = np.add.outer(np.arange(size[0]) * down, np.arange(size[1]) * right).ravel()
    return np.pad(offsets, (0, -len(offsets) % _REPEATS), mode="edge")


def _panels(w: Array, block: int) -> Array:
    """Weights (i, j, c, o) in the order tiles read them, (o // block, i, j, c, o % block); zeros fill."""
    *taps, outputs = w.shape
    if outputs == block:
        return flat(w)
    panels: Array = memory.empty((up(outputs, block) // block, *taps, block))
    whole = outputs // block
    panels[:whole] = w[..., : whole * block].reshape(*taps, whole, block).transpose(3, 0, 1, 2, 4)
    if whole * block != outputs:
        panels[whole] = 0
        panels[whole, ..., : outputs % block] = w[..., whole * block :]
    return panels.reshape(-1)


def _correlate(x: Array, w: Array, bias: Array | None, y: Array, plan: _Plan) -> None:
    """y[n, writes[p] + o] = b[o] + Σ_{i,j,c} X[n, reads[p] + (i, j, c)] · W, X the bordered image."""
    (images, height, width, inputs), (rows, columns, _, outputs) = x.shape, w.shape
    tile = sums_shape(outputs)
    _, block = height_width(tile)
    first = np.zeros(up(outputs, block), np.float32)
    if bias is not None:
        first[:outputs] = bias
    scratch, line, at = plan.border
    _sums(
        flat(x), _panels(w, block), first, y.reshape(-1), memory.zeros((THREADS, scratch)), plan.reads,
        plan.writes, plan.pixels, (images, height, width * inputs, y.size // max(images, 1)), (line, at),
        plan.starts, (rows, columns * inputs, outputs), tile,
    )  # fmt: skip


@kernel
def _sums(x, panels, bias, y, scratch, reads, writes, pixels, sizes, border, starts, taps, tile):
    arguments = (x, panels, bias, y, scratch, reads, writes, pixels, sizes, border, starts, taps, tile)
    for_each(sizes[0], sizes[0] * pixels * taps[0] * taps[1] * taps[2], _sums_image, arguments)


@body
def _sums_image(
    n, worker, x, panels, bias, y, scratch, reads, writes, pixels, sizes, border, starts, taps, tile
):
    """The convolution of image n, one block of output channels and one tile of pixels after the other."""
    _, height, width, y_size = sizes
    rows, run, outputs = taps
    tall, block = tile_rows(tile), tile_columns(tile)
    image = scratch[worker]
    insert(x, n, height, width, image, border)
    for o in range(0, outputs, block):
        for pixel in range(0, pixels, tall):
            # The tile's rows are any pixels, those of the next line too.
            rows_read, rows_written = reads[pixel : pixel + tall], writes[pixel : pixel + tall]
            sums = tile_load(tile, bias, o, 0)
            for i in range(rows):
                source, weights = starts[0] + i * border[0], (o * rows + i * block) * run
                for k in range(run):
                    sums = tile_rank1(sums, image, source + k, rows_read, panels, weights + k * block)
            store_columns(sums, tile, y, n * y_size + starts[1] + o, rows_written, outputs - o)


@kernel
def _weights(dy, x, dw, parts, scratch_x, scratch_dy, reads, pixels, stack, sizes, border, taps, tile):
    arguments = (dy, x, parts, scratch_x, scratch_dy, reads, pixels, stack, sizes, border, taps, tile)
    for_each(len(parts), sizes[0] * pixels * taps[0] * taps[1] * sizes[3], _weights_part, arguments)
    for_each(taps[0], parts.size, _sum_parts, (parts, dw, taps, sizes[3]))


@body
def _weights_part(
    part, worker, dy, x, parts, scratch_x, scratch_dy, reads, pixels, stack, sizes, border, taps, tile
):
    """The weight gradient of some images: parts[part, i, k, o] = Σ x[pixel + (i, k)] · dy[pixel, o]."""
    (images, height, width, outputs), (size, line, at) = sizes, border
    rows, _, run, padded = taps
    tall, block = tile_rows(tile), tile_columns(tile)
    image, gradient, sums = scratch_x[worker], scratch_dy[worker], parts[part]
    clear(sums)
    last = images * (part + 1) // len(parts)
    for first in range(images * part // len(parts), last, stack):
        here = min(stack, last - first)
        for n in range(here):
            insert(x, first + n, height, width, image[n * size :], (line, at))
        source, start = dy, first * pixels * outputs
        if padded != outputs:
            for p in range(here * pixels):
                row = start + p * outputs
                copy(dy[row : row + outputs], gradient[p * padded : p * padded + outputs])
            source, start = gradient, 0
        for band in range(0, pixels, _BAND):
            for i in range(rows):
                for k in range(0, run, tall):
                    for o in range(0, padded, block):
                        target = (i * run + k) * padded + o
                        total = tile_load(tile, sums, target, padded)
                        for n in range(here):
                            corner, factor = n * size + i * line + k, start + n * pixels * padded + o
                            for p in range(band, min(band + _BAND, pixels)):
                                total = tile_rank1(
                                    total, image, corner + reads[p], 1, source, factor + p * padded
                                )
                        tile_store(total, sums, target, padded)


@body
def _sum_parts(i, worker, parts, dw, taps, outputs):
    """dw[i] = Σ parts[:, i], in order, without the filling."""
    _, run, padded_run, padded = taps
    for k in range(run):
        target, source = (i * run + k) * outputs, (i * padded_run + k) * padded
        total = dw[target : target + outputs]
        copy(parts[0, source : source + outputs], total)
        for part in range(1, len(parts)):
            more = parts[part, source : source + outputs]
            for o in range(len(total)):
                total[o] += more[o]
