"""Pooling: the largest value or the mean of each window, and of the whole image. NHWC, float32.

One image at a time; for each window and as many channels as a tile is wide, which lie next to each other, a
loop over its elements. The part of a window that hangs over the border is skipped.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import ZERO, flat, row_shape, rows_shape
from psgd_ref.kernels.borders import clear
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.reference import Indices, Pair
from psgd_ref.kernels.tile import (
    tile_add,
    tile_columns,
    tile_full,
    tile_load_part,
    tile_multiply,
    tile_multiply_add,
    tile_rows,
    tile_store_part,
    tile_where_larger,
    tile_where_same_bits,
)

_LEAST = np.float32(-np.inf)


def _pooled(shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> tuple[int, ...]:
    height = (shape[1] + 2 * padding[0] - size[0]) // stride[0] + 1
    width = (shape[2] + 2 * padding[1] - size[1]) // stride[1] + 1
    return shape[0], height, width, shape[3]


def max_pool2d(x: Array, size: Pair, stride: Pair, padding: Pair) -> tuple[Array, Indices]:
    """As `reference.max_pool2d`."""
    shape = _pooled(x.shape, size, stride, padding)
    y, winner = memory.empty(shape), memory.empty(shape, np.int32)
    window, tiles = (size, stride, padding), (row_shape(x.shape[3]), rows_shape(x.shape[3]))
    _max(flat(x), flat(y), flat(winner).view(np.float32), x.shape, shape, window, *tiles)
    return y, winner


def max_pool2d_backward(
    dy: Array, winner: Indices, x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> Array:
    """As `reference.max_pool2d_backward`."""
    dx: Array = memory.empty(x_shape)
    places = np.ascontiguousarray(winner, np.int32).reshape(-1).view(np.float32)
    window, tiles = (size, stride, padding), (row_shape(x_shape[3]), rows_shape(x_shape[3]))
    _max_backward(flat(dy), places, flat(dx), x_shape, dy.shape, window, *tiles)
    return dx


def avg_pool2d(x: Array, size: Pair, stride: Pair, padding: Pair) -> Array:
    """As `reference.avg_pool2d`."""
    shape = _pooled(x.shape, size, stride, padding)
    y: Array = memory.empty(shape)
    _avg(flat(x), flat(y), x.shape, shape, (size, stride, padding), row_shape(x.shape[3]))
    return y


def avg_pool2d_backward(
    dy: Array, x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> Array:
    """As `reference.avg_pool2d_backward`."""
    dx: Array = memory.empty(x_shape)
    _avg_backward(flat(dy), flat(dx), x_shape, dy.shape, (size, stride, padding), row_shape(x_shape[3]))
    return dx


def global_avg_pool(x: Array) -> Array:
    """As `reference.global_avg_pool`: a window as large as the image."""
    return avg_pool2d(x, (x.shape[1], x.shape[2]), (1, 1), (0, 0)).reshape(x.shape[0], x.shape[3])


def global_avg_pool_backward(dy: Array, x_shape: tuple[int, ...]) -> Array:
    """As `reference.global_avg_pool_backward`."""
    return avg_pool2d_backward(dy[:, None, None, :], x_shape, (x_shape[1], x_shape[2]), (1, 1), (0, 0))


@kernel
def _max(x, y, winner, images, pooled, window, one, tall):
    for_each(images[0], x.size, _max_image, (x, y, winner, images, pooled, window, one, tall))


@kernel
def _max_backward(dy, winner, dx, images, pooled, window, one, tall):
    for_each(images[0], dx.size, _max_image_backward, (dy, winner, dx, images, pooled, window, one, tall))


@kernel
def _avg(x, y, images, pooled, window, tile):
    for_each(images[0], x.size, _avg_image, (x, y, images, pooled, window, tile))


@kernel
def _avg_backward(dy, dx, images, pooled, window, tile):
    for_each(images[0], dx.size, _avg_image_backward, (dy, dx, images, pooled, window, tile))


@inner
def _inside(index, size, stride, padding, length):
    """First pixel of a window along one axis, and the range of its elements that lie in the image."""
    first = index * stride - padding
    return first, max(0, -first), min(size, length - first)


@inner
def _number(k):
    """A whole number in the bits of a float: tiles compare and move such bits, no more."""
    return np.int32(k).view(np.float32)


@inner
def _together(v, size, stride, padding, length, columns, tile):
    """How many windows, from the one in column v on, one tile takes: all of its rows or one.

    Several must lie whole in the image.
    """
    last = v + tile_rows(tile) - 1
    whole = v * stride >= padding and last * stride - padding + size <= length and last < columns
    return tile_rows(tile) if whole else 1


@body
def _max_image(n, worker, x, y, winner, images, pooled, window, one, tall):
    _, height, width, channels = images
    _, lines, columns, _ = pooled
    size, stride, padding = window
    for h in range(lines):
        u, top, bottom = _inside(h, size[0], stride[0], padding[0], height)
        v = 0
        while v < columns:
            w, left, right = _inside(v, size[1], stride[1], padding[1], width)
            source = ((n * height + u) * width + w) * channels
            target = ((n * lines + h) * columns + v) * channels
            area = (top, bottom, left, right, width * channels, channels, size[1])
            count = _together(v, size[1], stride[1], padding[1], width, columns, tall)
            if count > 1:
                _largest(x, source, stride[1] * channels, y, winner, target, area, tall)
            else:
                _largest(x, source, 0, y, winner, target, area, one)
            v += count


@inner
def _largest(x, source, step, y, winner, target, area, tile):
    """The largest values of some windows, `step` apart, and their places."""
    top, bottom, left, right, line, channels, width = area
    for c in range(0, channels, tile_columns(tile)):
        count = channels - c
        best, which = tile_full(tile, _LEAST), tile_full(tile, _number(top * width + left))
        for i in range(top, bottom):
            for j in range(left, right):
                value = tile_load_part(tile, x, source + i * line + j * channels + c, step, count)
                # NaN is larger than any number, and the first of equals stays.
                which = tile_where_larger(value, best, tile_full(tile, _number(i * width + j)), which)
                best = tile_where_larger(value, best, value, best)
        tile_store_part(best, y, target + c, channels, count)
        tile_store_part(which, winner, target + c, channels, count)


@body
def _max_image_backward(n, worker, dy, winner, dx, images, pooled, window, one, tall):
    _, height, width, channels = images
    _, lines, columns, _ = pooled
    size, stride, padding = window
    image = height * width * channels
    clear(dx[n * image : (n + 1) * image])
    overlap = size[0] > stride[0] or size[1] > stride[1]
    for h in range(lines):
        u, top, bottom = _inside(h, size[0], stride[0], padding[0], height)
        v = 0
        while v < columns:
            w, left, right = _inside(v, size[1], stride[1], padding[1], width)
            source = ((n * lines + h) * columns + v) * channels
            target = ((n * height + u) * width + w) * channels
            area = (top, bottom, left, right, width * channels, channels, size[1])
            count = _together(v, size[1], stride[1], padding[1], width, columns, tall)
            if count > 1:
                _spread(dy, winner, source, dx, target, stride[1] * channels, area, overlap, tall)
            else:
                _spread(dy, winner, source, dx, target, 0, area, overlap, one)
            v += count


@inner
def _spread(dy, winner, source, dx, target, step, area, overlap, tile):
    """Add the gradients of some windows, `step` apart, to their largest values."""
    top, bottom, left, right, line, channels, width = area
    for c in range(0, channels, tile_columns(tile)):
        count, nothing = channels - c, tile_full(tile, ZERO)
        gradient = tile_load_part(tile, dy, source + c, channels, count)
        which = tile_load_part(tile, winner, source + c, channels, count)
        for i in range(top, bottom):
            for j in range(left, right):
                place = target + i * line + j * channels + c
                more = tile_where_same_bits(which, tile_full(tile, _number(i * width + j)), gradient, nothing)
                if overlap:
                    more = tile_add(more, tile_load_part(tile, dx, place, step, count))
                tile_store_part(more, dx, place, step, count)


@body
def _avg_image(n, worker, x, y, images, pooled, window, tile):
    _, height, width, channels = images
    _, lines, columns, _ = pooled
    size, stride, padding = window
    share = tile_full(tile, np.float32(1 / (size[0] * size[1])))
    for h in range(lines):
        u, top, bottom = _inside(h, size[0], stride[0], padding[0], height)
        for v in range(columns):
            w, left, right = _inside(v, size[1], stride[1], padding[1], width)
            target = ((n * lines + h) * columns + v) * channels
            for c in range(0, channels, tile_columns(tile)):
                total = tile_full(tile, ZERO)
                for i in range(top, bottom):
                    for j in range(left, right):
                        source = ((n * height + u + i) * width + w + j) * channels + c
                        total = tile_add(total, tile_load_part(tile, x, source, 0, channels - c))
                tile_store_part(tile_multiply(total, share), y, target + c, 0, channels - c)


@body
def _avg_image_backward(n, worker, dy, dx, images, pooled, window, tile):
    _, height, width, channels = images
    _, lines, columns, _ = pooled
    size, stride, padding = window
    share = tile_full(tile, np.float32(1 / (size[0] * size[1])))
    image = height * width * channels
    clear(dx[n * image : (n + 1) * image])
    for h in range(lines):
        u, top, bottom = _inside(h, size[0], stride[0], padding[0], height)
        for v in range(columns):
            w, left, right = _inside(v, size[1], stride[1], padding[1], width)
            source = ((n * lines + h) * columns + v) * channels
            for c in range(0, channels, tile_columns(tile)):
                count = channels - c
                gradient = tile_load_part(tile, dy, source + c, 0, count)
                for i in range(top, bottom):
                    for j in range(left, right):
                        target = ((n * height + u + i) * width + w + j) * channels + c
                        total = tile_load_part(tile, dx, target, 0, count)
                        tile_store_part(tile_multiply_add(gradient, share, total), dx, target, 0, count)
