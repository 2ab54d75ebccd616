"""Pooling: the largest value or the mean of each window, and of the whole image. NHWC, float32.

One image at a time; for each window (the maximum: for each line of windows) a loop over its elements,
innermost over channels, which lie next to each other. The part of a window that hangs over the border is
skipped.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import ZERO
from psgd_ref.kernels.borders import copy
from psgd_ref.kernels.compile import body, inner, kernel
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.reference import Indices, Pair

_LEAST = np.float32(-np.inf)


def _pooled(shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair) -> tuple[int, ...]:
    height, width = ((shape[1 + i] + 2 * padding[i] - size[i]) // stride[i] + 1 for i in (0, 1))
    return shape[0], height, width, shape[3]


def max_pool2d(x: Array, size: Pair, stride: Pair, padding: Pair) -> tuple[Array, Indices]:
    """As `reference.max_pool2d`."""
    shape = _pooled(x.shape, size, stride, padding)
    y, winner = memory.empty(shape), memory.empty(shape, np.int32)
    line = shape[2] * shape[3]
    values, places = np.empty((THREADS, 3, line), np.float32), np.empty((THREADS, 2, line), np.int32)
    _max(np.ascontiguousarray(x), y, winner, values, places, size, stride, padding)
    return y, winner


def max_pool2d_backward(
    dy: Array, winner: Indices, x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> Array:
    """As `reference.max_pool2d_backward`."""
    dx: Array = memory.empty(x_shape)
    winner = np.ascontiguousarray(winner, np.int32)
    _max_backward(np.ascontiguousarray(dy), winner, dx, size, stride, padding)
    return dx


def avg_pool2d(x: Array, size: Pair, stride: Pair, padding: Pair) -> Array:
    """As `reference.avg_pool2d`."""
    y: Array = memory.empty(_pooled(x.shape, size, stride, padding))
    _avg(np.ascontiguousarray(x), y, size, stride, padding)
    return y


def avg_pool2d_backward(
    dy: Array, x_shape: tuple[int, ...], size: Pair, stride: Pair, padding: Pair
) -> Array:
    """As `reference.avg_pool2d_backward`."""
    dx: Array = memory.empty(x_shape)
    _avg_backward(np.ascontiguousarray(dy), dx, size, stride, padding)
    return dx


def global_avg_pool(x: Array) -> Array:
    """As `reference.global_avg_pool`: a window as large as the image."""
    return avg_pool2d(x, (x.shape[1], x.shape[2]), (1, 1), (0, 0)).reshape(x.shape[0], x.shape[3])


def global_avg_pool_backward(dy: Array, x_shape: tuple[int, ...]) -> Array:
    """As `reference.global_avg_pool_backward`."""
    return avg_pool2d_backward(dy[:, None, None, :], x_shape, (x_shape[1], x_shape[2]), (1, 1), (0, 0))


@kernel
def _max(x, y, winner, values, places, size, stride, padding):
    for_each(len(x), x.size, _max_image, (x, y, winner, values, places, size, stride, padding))


@kernel
def _max_backward(dy, winner, dx, size, stride, padding):
    for_each(len(dx), dx.size, _max_image_backward, (dy, winner, dx, size, stride, padding))


@kernel
def _avg(x, y, size, stride, padding):
    for_each(len(x), x.size, _avg_image, (x, y, size, stride, padding))


@kernel
def _avg_backward(dy, dx, size, stride, padding):
    for_each(len(dx), dx.size, _avg_image_backward, (dy, dx, size, stride, padding))


@inner
def _inside(output, size, stride, padding, length):
    """First pixel of a window along one axis, and which of its elements lie in the image."""
    first = output * stride - padding
    return first, max(0, -first), min(size, length - first)


@inner
def _clear(image):
    for h in range(image.shape[0]):
        for w in range(image.shape[1]):
            for c in range(image.shape[2]):
                image[h, w, c] = ZERO


@body
def _max_image(n, worker, x, y, winner, values, places, size, stride, padding):
    _, height, width, channels = x.shape
    # A line of windows at a time, in loops long enough for vectors: each element of the windows compares with
    # what is largest so far, from one pair of rows into the other. (In place, only the lanes that change
    # would be stored, by an instruction that is slow on some CPUs.)
    best, next_best, pixels = values[worker, 0], values[worker, 1], values[worker, 2]
    which, next_which = places[worker, 0], places[worker, 1]
    for h in range(y.shape[1]):
        u, top, bottom = _inside(h, size[0], stride[0], padding[0], height)
        for c in range(len(best)):
            best[c], which[c] = _LEAST, 0
        for i in range(top, bottom):
            for j in range(size[1]):
                k = np.int32(i * size[1] + j)
                for v in range(y.shape[2]):
                    w = v * stride[1] + j - padding[1]
                    pixel = pixels[v * channels : (v + 1) * channels]
                    if 0 <= w < width:
                        copy(x[n, u + i, w], pixel)
                    else:
                        for c in range(channels):
                            pixel[c] = _LEAST
                for c in range(len(best)):
                    # NaN is larger than any number, and the first one stays.
                    larger = (pixels[c] > best[c]) | (np.isnan(pixels[c]) & (not np.isnan(best[c])))
                    next_best[c] = pixels[c] if larger else best[c]
                    next_which[c] = k if larger else which[c]
                best, which, next_best, next_which = next_best, next_which, best, which
        for v in range(y.shape[2]):
            copy(best[v * channels : (v + 1) * channels], y[n, h, v])
            copy(which[v * channels : (v + 1) * channels], winner[n, h, v])


@body
def _max_image_backward(n, worker, dy, winner, dx, size, stride, padding):
    _, height, width, channels = dx.shape
    image = dx[n]
    _clear(image)
    for h in range(dy.shape[1]):
        u, top, bottom = _inside(h, size[0], stride[0], padding[0], height)
        for v in range(dy.shape[2]):
            w, left, right = _inside(v, size[1], stride[1], padding[1], width)
            gradient, which = dy[n, h, v], winner[n, h, v]
            for i in range(top, bottom):
                for j in range(left, right):
                    pixel, k = image[u + i, w + j], np.int32(i * size[1] + j)
                    for c in range(channels):
                        pixel[c] += gradient[c] if which[c] == k else ZERO


@body
def _avg_image(n, worker, x, y, size, stride, padding):
    _, height, width, channels = x.shape
    share = np.float32(1 / (size[0] * size[1]))
    for h in range(y.shape[1]):
        u, top, bottom = _inside(h, size[0], stride[0], padding[0], height)
        for v in range(y.shape[2]):
            w, left, right = _inside(v, size[1], stride[1], padding[1], width)
            mean = y[n, h, v]
            for c in range(channels):
                mean[c] = ZERO
            for i in range(top, bottom):
                for j in range(left, right):
                    pixel = x[n, u + i, w + j]
                    for c in range(channels):
                        mean[c] += pixel[c]
            for c in range(channels):
                mean[c] *= share


@body
def _avg_image_backward(n, worker, dy, dx, size, stride, padding):
    _, height, width, channels = dx.shape
    share = np.float32(1 / (size[0] * size[1]))
    image = dx[n]
    _clear(image)
    for h in range(dy.shape[1]):
        u, top, bottom = _inside(h, size[0], stride[0], padding[0], height)
        for v in range(dy.shape[2]):
            w, left, right = _inside(v, size[1], stride[1], padding[1], width)
            gradient = dy[n, h, v]
            for i in range(top, bottom):
                for j in range(left, right):
                    pixel = image[u + i, w + j]
                    for c in range(channels):
                        pixel[c] += gradient[c] * share
