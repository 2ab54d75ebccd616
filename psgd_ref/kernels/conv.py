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
from typing import Any

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory, winograd
from psgd_ref.kernels.blocks import (
    NONE,
    ZERO,
    flat,
    gradient_shape,
    height_width,
    store_columns,
    sums_shape,
    up,
)
from psgd_ref.kernels.borders import clear, copy, insert
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.reference import Indices, Pair
from psgd_ref.kernels.tile import Shape, tile_columns, tile_load, tile_rank1, tile_rows, tile_store

# Weight gradients are summed in so many parts, whatever the number of threads, then the parts in order:
# the bits do not depend on the threads.
PARTS = 16
# Pixels that the weight gradient takes at a time, so that both operands stay in the L1 cache; of small
# images several.
_BAND = 128


@dataclass(frozen=True, eq=False)
class _Plan:
    """A correlation of images of one size: where it reads and writes, the same for every image.

    images : lines of an image and numbers in a line, numbers in an image of the result
    border : size of a bordered image, length of its lines, offset of the image in it
    reads, writes : offset of every pixel in a bordered image and in an image of the result
    products : offset of every number (i, j, c) that a pixel reads, from its first
    starts : offset of the first read and of the first write
    pixels : how many there are
    weights : where W lies, the offset of the first weight and the distance to the next along i, j, c, o
    taps : rows, columns, inputs, outputs of W
    tile, room : the tile of sums, and how many numbers packed biases and weights take
    """

    images: tuple[int, int, int]
    border: tuple[int, int, int]
    reads: Indices
    writes: Indices
    products: Indices
    starts: Pair
    pixels: int
    weights: tuple[int, int, int, int, int]
    taps: tuple[int, int, int, int]
    tile: Shape
    room: tuple[int, ...]


def conv2d(x: Array, w: Array, bias: Array | None, stride: Pair, padding: Pair) -> Array:
    """As `reference.conv2d`."""
    image, w_shape = x.shape[1:], w.shape
    if winograd.pays(image, w_shape, stride, padding, winograd.SUMS):
        return winograd.conv2d(x, w, bias, padding)
    size, plan = _forward_plan(image, w_shape, stride, padding)
    y: Array = memory.empty((x.shape[0], *size, w_shape[3]))
    _correlate(x, w, bias, y, plan)
    return y


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pair,
    need_dx: bool = True,
    into: Array | None = None,
) -> tuple[Array | None, Array]:
    """As `reference.conv2d_backward`."""
    dw: Array = memory.empty(w.shape) if into is None else into
    _weights_gradient(dy, x, dw, stride, padding)
    return (_input_gradient(dy, x.shape, w, stride, padding) if need_dx else None), dw


def _input_gradient(dy: Array, x_shape: tuple[int, ...], w: Array, stride: Pair, padding: Pair) -> Array:
    image, w_shape = x_shape[1:], w.shape
    if winograd.pays(image, w_shape, stride, padding, winograd.SUMS):
        flipped = w[::-1, ::-1].swapaxes(2, 3)
        return winograd.conv2d(dy, flipped, None, (2 - padding[0], 2 - padding[1]))
    dx: Array = memory.empty(x_shape)
    for plan in _input_plans(image, dy.shape[1:], w_shape, stride, padding):
        _correlate(dy, w, None, dx, plan)
    return dx


def _weights_gradient(dy: Array, x: Array, dw: Array, stride: Pair, padding: Pair) -> None:
    image, w_shape = x.shape[1:], dw.shape
    if winograd.pays(image, w_shape, stride, padding, winograd.GRADIENT):
        winograd.weights_gradient(dy, x, dw, padding, PARTS)
        return
    _, plan = _forward_plan(image, w_shape, stride, padding)
    stack, parts, images, gradients, taps, tile = _gradient_plan(len(x), plan)
    _weights(
        flat(dy), flat(x), flat(dw), memory.empty(parts), memory.zeros(images), memory.zeros(gradients),
        plan.reads, plan.pixels, stack, (len(x), *plan.images), plan.border, taps, tile,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _forward_plan(
    image: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair
) -> tuple[Pair, _Plan]:
    """Height and width of the result for images (H, W, C), and the plan of the convolution."""
    (height, width, inputs), (rows, columns, _, outputs) = image, w_shape
    bordered = (height + 2 * padding[0], width + 2 * padding[1])
    size = ((bordered[0] - rows) // stride[0] + 1, (bordered[1] - columns) // stride[1] + 1)
    line, pixels = bordered[1] * inputs, size[0] * size[1]
    tile, room = _packed((rows, columns, inputs, outputs))
    return size, _Plan(
        (height, width * inputs, pixels * outputs),
        (bordered[0] * line, line, padding[0] * line + padding[1] * inputs),
        _pixels(size, stride[0] * line, stride[1] * inputs),
        _pixels(size, size[1] * outputs, outputs),
        _products(rows, columns * inputs, line),
        (0, 0),
        pixels,
        (0, columns * inputs * outputs, inputs * outputs, outputs, 1),
        (rows, columns, inputs, outputs),
        tile,
        room,
    )


@lru_cache(maxsize=1024)
def _input_plans(
    image: tuple[int, ...], gradient: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair
) -> list[_Plan]:
    """The convolutions of dy that make up dx, one for each first row and column of W."""
    (height, width, inputs), (*out, outputs) = image, gradient
    # Rows and columns of dy above and left of the pixel q, and how far q goes beyond dy.
    before = [(w_shape[i] - 1) // stride[i] for i in (0, 1)]
    lines, columns = (before[i] + max(out[i], (image[i] - 1 + padding[i]) // stride[i] + 1) for i in (0, 1))
    line, tap = columns * outputs, inputs * outputs
    plans = []
    for residue in product(range(stride[0]), range(stride[1])):
        taps = [-((residue[i] - w_shape[i]) // stride[i]) for i in (0, 1)]
        # Along each axis the pixels u = s·q + residue − p ≥ 0 see dy[q], dy[q − 1], …, one for each tap.
        q = [max(0, -((residue[i] - padding[i]) // stride[i])) for i in (0, 1)]
        u, v = (stride[i] * q[i] + residue[i] - padding[i] for i in (0, 1))
        size = (-((u - height) // stride[0]), -((v - width) // stride[1]))
        corner = [before[i] + q[i] - taps[i] + 1 for i in (0, 1)]
        # Flipped: the last row and column of W that these pixels see come first.
        i, j = (residue[k] + stride[k] * (taps[k] - 1) for k in (0, 1))
        if min(size) > 0:
            tile, room = _packed((*taps, outputs, inputs))
            plans.append(
                _Plan(
                    (out[0], out[1] * outputs, height * width * inputs),
                    (lines * line, line, before[0] * line + before[1] * outputs),
                    _pixels(size, line, outputs),
                    _pixels(size, stride[0] * width * inputs, stride[1] * inputs),
                    _products(taps[0], taps[1] * outputs, line),
                    (corner[0] * line + corner[1] * outputs, (u * width + v) * inputs),
                    size[0] * size[1],
                    ((i * w_shape[1] + j) * tap, -stride[0] * w_shape[1] * tap, -stride[1] * tap, 1, outputs),
                    (taps[0], taps[1], outputs, inputs),
                    tile,
                    room,
                )
            )
    return plans


def _packed(w_shape: tuple[int, ...]) -> tuple[Shape, tuple[int, ...]]:
    """The tile for weights of that shape, and how many numbers they take in panels, behind the biases."""
    tile = sums_shape(w_shape[3])
    _, block = height_width(tile)
    return tile, ((1 + w_shape[0] * w_shape[1] * w_shape[2]) * up(w_shape[3], block),)


@lru_cache(maxsize=1024)
def _gradient_plan(images: int, plan: _Plan) -> tuple[Any, ...]:
    """How the weight gradient of so many images is cut."""
    (rows, columns, inputs, outputs), (size, _, _) = plan.taps, plan.border
    tile = gradient_shape(outputs)
    tall, block = height_width(tile)
    run, padded = up(columns * inputs, tall), up(outputs, block)
    stack = max(1, min(_BAND // plan.pixels, images // PARTS))
    return (
        stack,
        (min(PARTS, images), rows * run * padded),
        # The last tile of a line reads on beyond it; those rows of the sum are left out.
        (THREADS, stack * size + run),
        # A gradient that fills its tiles is read where it lies.
        (THREADS, stack * plan.pixels * padded if padded != outputs else 0),
        (rows, columns * inputs, run, padded, outputs),
        tile,
    )


# A multiple of the height of every tile for sums.
_REPEATS = 24


def _pixels(size: Pair, down: int, right: int) -> Indices:
    """Offset of every pixel of an image, h·down + v·right, the last one repeated to fill any tile."""
    offsets = np.add.outer(np.arange(size[0]) * down, np.arange(size[1]) * right).ravel()
    return np.pad(offsets, (0, -len(offsets) % _REPEATS), mode="edge")


def _products(rows: int, run: int, line: int) -> Indices:
    """Offset of every number that a pixel reads: a run of them in each of some lines."""
    return np.add.outer(np.arange(rows) * line, np.arange(run)).ravel()


def _correlate(x: Array, w: Array, bias: Array | None, y: Array, plan: _Plan) -> None:
    """y[n, writes[p] + o] = b[o] + Σ_{i,j,c} X[n, reads[p] + (i, j, c)] · W, X the bordered image."""
    _sums(
        flat(x), flat(w), NONE if bias is None else flat(bias), flat(y), memory.empty(plan.room),
        memory.zeros((THREADS, plan.border[0])), plan.reads, plan.writes, plan.products,
        plan.pixels, (len(x), *plan.images), plan.border, plan.starts, plan.weights, plan.taps, plan.tile,
    )  # fmt: skip


@kernel
def _sums(
    x, w, bias, y, room, scratch, reads, writes, products, pixels, sizes, border, starts, weights, taps, tile
):
    outputs = taps[3]
    padded = (outputs + tile_columns(tile) - 1) // tile_columns(tile) * tile_columns(tile)
    first, panels = room[:padded], room[padded:]
    for o in range(padded):
        first[o] = bias[o] if o < bias.size else ZERO
    _pack(w, weights, taps, panels, tile_columns(tile))
    place = (border[1], border[2])
    arguments = (
        x, panels, first, y, scratch, reads, writes, products, pixels, sizes, place, starts, outputs, tile
    )  # fmt: skip
    for_each(sizes[0], sizes[0] * pixels * len(products) * outputs, _sums_image, arguments)


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
                for c in range(inputs):
                    source = start + i * down + j * right + c * inward + o * across
                    panel = panels[target : target + block]
                    for k in range(count):
                        panel[k] = w[source + k * across]
                    for k in range(count, block):
                        panel[k] = ZERO
                    target += block


@body
def _sums_image(
    n,
    worker,
    x,
    panels,
    bias,
    y,
    scratch,
    reads,
    writes,
    products,
    pixels,
    sizes,
    border,
    starts,
    outputs,
    tile,
):
    """The convolution of image n, one block of output channels and one tile of pixels after the other."""
    _, height, width, y_size = sizes
    tall, block = tile_rows(tile), tile_columns(tile)
    image = scratch[worker]
    insert(x, n, height, width, image, border)
    for o in range(0, outputs, block):
        for pixel in range(0, pixels, tall):
            # The tile's rows are any pixels, those of the next line too.
            rows_read, rows_written = reads[pixel : pixel + tall], writes[pixel : pixel + tall]
            sums = tile_load(tile, bias, o, 0)
            for k in range(len(products)):
                weights = o * len(products) + k * block
                sums = tile_rank1(sums, image, starts[0] + products[k], rows_read, panels, weights)
            store_columns(sums, tile, y, n * y_size + starts[1] + o, rows_written, outputs - o)


@kernel
def _weights(dy, x, dw, parts, scratch_x, scratch_dy, reads, pixels, stack, sizes, border, taps, tile):
    arguments = (dy, x, parts, scratch_x, scratch_dy, reads, pixels, stack, sizes, border, taps, tile)
    for_each(len(parts), sizes[0] * pixels * taps[0] * taps[1] * taps[4], _weights_part, arguments)
    for_each(taps[0], parts.size, _sum_parts, (parts, dw, taps))


@body
def _weights_part(
    part, worker, dy, x, parts, scratch_x, scratch_dy, reads, pixels, stack, sizes, border, taps, tile
):
    """The weight gradient of some images: parts[part, i, k, o] = Σ x[pixel + (i, k)] · dy[pixel, o]."""
    (images, height, width, _), (size, line, at) = sizes, border
    rows, _, run, padded, outputs = taps
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
def _sum_parts(i, worker, parts, dw, taps):
    """dw[i] = Σ parts[:, i], in order, without the filling."""
    _, run, padded_run, padded, outputs = taps
    # Without filling between them, all rows of a line are one long row.
    rows, width = (1, run * outputs) if padded == outputs else (run, outputs)
    for k in range(rows):
        target, source = (i * run + k) * outputs, (i * padded_run + k) * padded
        total = dw[target : target + width]
        copy(parts[0, source : source + width], total)
        for part in range(1, len(parts)):
            more = parts[part, source : source + width]
            for o in range(len(total)):
                total[o] += more[o]
