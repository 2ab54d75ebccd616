"""3×3 convolution at stride 1 with 16 multiplications where the plain sum needs 36: Winograd's F(2×2, 3×3).

A square of 4×4 inputs d gives a square of 2×2 outputs y of the kernel g:

    y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A

         ⎡ 1  0 −1  0 ⎤       ⎡ 1  0  0 ⎤
    Bᵀ = ⎢ 0  1  1  0 ⎥   G = ⎢ ½  ½  ½ ⎥   Aᵀ = ⎡ 1  1  1  0 ⎤
         ⎢ 0 −1  1  0 ⎥       ⎢ ½ −½  ½ ⎥        ⎣ 0  1 −1 −1 ⎦
         ⎣ 0  1  0 −1 ⎦       ⎣ 0  0  1 ⎦

B and A cost additions only, and squares are transformed once for all channels of the other side: the sum
over input channels goes inside the bracket. So the work is 16 matrix products, one for each place ξ of a
square, over many squares s,

    M[ξ, s, o] = Σ_c V[ξ, s, c] · U[ξ, c, o],   V = Bᵀ d B,  U = G g Gᵀ,

and for the gradient of the weights, with the transforms transposed,

    dU[ξ, c, o] = Σ_s V[ξ, s, c] · D[ξ, s, o],   D = A dy Aᵀ,  dg = Gᵀ dU G.

The gradient of the input is a forward convolution with flipped weights. A few images at a time are copied
into a scratch with a zero border, and of their squares a few at a time are transformed, multiplied and
transformed back, all within the cache of one core.

Rounding errors are those of the plain sum or less. Where an input is NaN or infinite the same outputs are
not finite (each d reaches the y that it reaches in the plain sum, and no other), but an infinity may arrive
as NaN, ∞ − ∞, and in the gradient of the weights such an input at the image's edge may spoil a tap that it
does not meet in the plain sum. As `conv.py` says, results that are not finite are worked out anew.

Source: Winograd 1980; for convolutions Lavin and Gray 2016.
"""

from functools import lru_cache

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import ZERO, flat, gradient_shape, height_width, sums_shape, up
from psgd_ref.kernels.borders import clear, copy, insert
from psgd_ref.kernels.compile import LANES, body, inner, kernel
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.reference import Pair
from psgd_ref.kernels.squares import (
    NOTHING,
    VECTOR,
    G,
    transform_gradient,
    transform_input,
    transform_output,
)
from psgd_ref.kernels.tile import tile_add, tile_columns, tile_load, tile_rank1, tile_rows, tile_store

# Squares that are transformed and multiplied at a time, a multiple of every tile's height: V and M of 64
# channels fill half of an L2 cache.
_SQUARES = 48
# Channels from which the multiplications saved outweigh the transforms, of a convolution and of the gradient
# of its weights, and products (inputs × outputs × pixels) of an image from which they outweigh U.
SUMS, GRADIENT = 32, 16
_PRODUCTS = 1 << 18
# Between the planes of V and of M, so that the 16 numbers of a square do not share a set of the L1 cache.
_GAP = 16


@lru_cache(maxsize=1024)
def pays(
    image: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair, channels: int
) -> bool:
    """Whether to convolve images (H, W, C) so: 3×3 at stride 1, channels in whole vectors, enough work.

    channels : the least, `SUMS` or `GRADIENT`
    """
    (height, width, _), (*size, inputs, outputs) = image, w_shape
    return (
        (*size, *stride) == (3, 3, 1, 1)
        and max(padding) <= 2
        and min(height, width) >= 4
        and min(inputs, outputs) >= channels
        and inputs % LANES == outputs % LANES == 0
        and inputs * outputs * height * width >= _PRODUCTS
    )


def conv2d(x: Array, w: Array, bias: Array | None, padding: Pair) -> Array:
    """As `reference.conv2d` where `pays`."""
    (images, height, width, inputs), outputs = x.shape, w.shape[3]
    out = (height + 2 * padding[0] - 2, width + 2 * padding[1] - 2)
    tile = sums_shape(outputs)
    _, block = height_width(tile)
    padded = up(outputs, block)
    squares, border = _squares(images, out, inputs, padding)
    y: Array = memory.empty((images, *out, outputs))
    first = np.zeros(padded, np.float32)
    if bias is not None:
        first[:outputs] = bias
    _convolve(
        flat(x), np.ascontiguousarray(w), G, memory.empty((16 * inputs * padded,)), first, y.reshape(-1),
        memory.zeros((THREADS, squares[0] * border[0])), memory.empty((THREADS, 16 * _plane(inputs))),
        memory.empty((THREADS, 16 * _plane(padded))), np.empty((THREADS, padded), np.float32),
        (images, height, width * inputs), (*out, outputs), squares, border, tile, VECTOR,
    )  # fmt: skip
    return y


def weights_gradient(dy: Array, x: Array, dw: Array, padding: Pair, parts: int) -> None:
    """The weights' part of `reference.conv2d_backward` where `pays`, summed in so many parts into dw."""
    (images, height, width, inputs), (_, *out, outputs) = x.shape, dy.shape
    tile = gradient_shape(outputs)
    tall, block = height_width(tile)
    parts, rows, padded = min(parts, images), up(inputs, tall), up(outputs, block)
    squares, border = _squares(images // max(parts, 1), (out[0], out[1]), inputs, padding)
    line = 2 * squares[2] * outputs
    _weights(
        flat(dy), flat(x), dw, G, memory.empty((parts, 16, rows * padded)),
        memory.zeros((THREADS, squares[0] * border[0])),
        memory.zeros((THREADS, squares[0] * 2 * squares[1] * line)),
        memory.empty((THREADS, 16 * _plane(inputs))), memory.empty((THREADS, 16 * _plane(padded))),
        np.empty((THREADS, 16, outputs), np.float32), (images, height, width * inputs),
        (out[0], out[1] * outputs), (rows, padded), squares, border, line, tile, VECTOR,
    )  # fmt: skip


def _squares(
    images: int, out: Pair, inputs: int, padding: Pair
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Images a stack, squares down and right; size and line of a bordered image, offset of the image."""
    down, right = -(-out[0] // 2), -(-out[1] // 2)
    line = (2 * right + 2) * inputs
    stack = max(1, min(images, _SQUARES // (down * right)))
    return (stack, down, right), ((2 * down + 2) * line, line, padding[0] * line + padding[1] * inputs)


def _plane(channels: int) -> int:
    return _SQUARES * channels + _GAP


@kernel
def _convolve(x, w, g, panels, bias, y, scratch, v, m, rows, images, out, squares, border, tile, vector):
    inputs = w.shape[2]
    for_each(inputs, 9 * w.size, _transform_weights, (w, g, panels, rows, tile))
    stacks = (images[0] + squares[0] - 1) // squares[0]
    arguments = (x, panels, bias, y, scratch, v, m, inputs, images, out, squares, border, tile, vector)
    for_each(stacks, y.size * inputs, _convolve_stack, arguments)


@kernel
def _weights(
    dy, x, dw, g, parts, scratch_x, scratch_dy, v, d, sums, images, out, channels, squares, border, line,
    tile, vector,
):  # fmt: skip
    inputs, outputs = dw.shape[2], dw.shape[3]
    arguments = (
        dy, x, parts, scratch_x, scratch_dy, v, d, inputs, outputs, images, out, channels, squares, border,
        line, tile, vector,
    )  # fmt: skip
    for_each(len(parts), dy.size * inputs, _weights_part, arguments)
    for_each(inputs, parts.size, _sum_parts, (parts, dw, g, sums, channels[1]))


@body
def _transform_weights(c, worker, w, g, panels, rows, tile):
    """U = G g Gᵀ for one input channel, in the order (o // block, ξ, c, o % block) in which tiles read it."""
    inputs, outputs = w.shape[2], w.shape[3]
    block, u = tile_columns(tile), rows[worker]
    for i in range(len(g)):
        for j in range(len(g)):
            clear(u)
            for row in range(g.shape[1]):
                for column in range(g.shape[1]):
                    factor = g[i, row] * g[j, column]
                    if factor != ZERO:
                        tap = w[row, column, c]
                        for o in range(outputs):
                            u[o] += factor * tap[o]
            for o in range(0, len(u), block):
                to = (o * 16 + (4 * i + j) * block) * inputs + c * block
                copy(u[o : o + block], panels[to : to + block])


@body
def _convolve_stack(
    index, worker, x, panels, bias, y, scratch, v, m, inputs, images, out, squares, border, tile, vector
):
    """The convolution of a stack of images."""
    (stack, down, right), (height, width, outputs), (size, line, at) = squares, out, border
    image, v, m = scratch[worker], v[worker], m[worker]
    tall, block, lanes = tile_rows(tile), tile_columns(tile), tile_columns(vector)
    padded = len(bias)
    v_plane, m_plane = _SQUARES * inputs + _GAP, _SQUARES * padded + _GAP
    first, last = index * stack, min(images[0], (index + 1) * stack)
    for n in range(first, last):
        insert(x, n, images[1], images[2], image[(n - first) * size :], (line, at))
    total = (last - first) * down * right
    for start in range(0, total, _SQUARES):
        count = min(_SQUARES, total - start)
        _transform_inputs(image, start, count, squares, border, inputs, v, v_plane, vector)
        for place in range(16):
            for o in range(0, padded, block):
                weights = (o * 16 + place * block) * inputs
                for s in range(0, count, tall):
                    products = tile_load(tile, NOTHING, 0, 0)
                    for c in range(inputs):
                        source = place * v_plane + s * inputs + c
                        products = tile_rank1(products, v, source, inputs, panels, weights + c * block)
                    tile_store(products, m, place * m_plane + s * padded + o, padded)
        for s in range(count):
            n, i, j = _place(start + s, down, right)
            target = (((first + n) * height + 2 * i) * width + 2 * j) * outputs
            inside = (2 * i + 1 < height, 2 * j + 1 < width)
            for o in range(0, outputs, lanes):
                offset = tile_load(vector, bias, o, 0)
                top, bottom = transform_output(m, s * padded + o, m_plane, vector)
                tile_store(tile_add(top[0], offset), y, target + o, 0)
                if inside[1]:
                    tile_store(tile_add(top[1], offset), y, target + outputs + o, 0)
                if inside[0]:
                    tile_store(tile_add(bottom[0], offset), y, target + width * outputs + o, 0)
                if inside[0] and inside[1]:
                    tile_store(tile_add(bottom[1], offset), y, target + (width + 1) * outputs + o, 0)


@body
def _weights_part(
    part, worker, dy, x, parts, scratch_x, scratch_dy, v, d, inputs, outputs, images, out, channels, squares,
    border, line_dy, tile, vector,
):  # fmt: skip
    """The transformed gradient of some images: parts[part, ξ, c, o] = Σ V[ξ, s, c] · D[ξ, s, o]."""
    (stack, down, right), (rows, padded), (size, line, at) = squares, channels, border
    size_dy = 2 * down * line_dy
    image, gradient, v, d = scratch_x[worker], scratch_dy[worker], v[worker], d[worker]
    tall, block, lanes = tile_rows(tile), tile_columns(tile), tile_columns(vector)
    v_plane, d_plane = _SQUARES * inputs + _GAP, _SQUARES * padded + _GAP
    for place in range(16):
        clear(parts[part, place])
    last = images[0] * (part + 1) // len(parts)
    for first in range(images[0] * part // len(parts), last, stack):
        total = min(stack, last - first) * down * right
        for n in range(min(stack, last - first)):
            insert(x, first + n, images[1], images[2], image[n * size :], (line, at))
            insert(dy, first + n, out[0], out[1], gradient[n * size_dy :], (line_dy, 0))
        for start in range(0, total, _SQUARES):
            count = min(_SQUARES, total - start)
            _transform_inputs(image, start, count, squares, border, inputs, v, v_plane, vector)
            for s in range(count):
                n, i, j = _place(start + s, down, right)
                source = n * size_dy + 2 * i * line_dy + 2 * j * outputs
                for o in range(0, outputs, lanes):
                    to = s * padded + o
                    transform_gradient(gradient, source + o, line_dy, outputs, d, to, d_plane, vector)
            for place in range(16):
                sums = parts[part, place]
                for c in range(0, rows, tall):
                    for o in range(0, padded, block):
                        products = tile_load(tile, sums, c * padded + o, padded)
                        for s in range(count):
                            source, factor = place * v_plane + s * inputs, place * d_plane + s * padded
                            products = tile_rank1(products, v, source + c, 1, d, factor + o)
                        tile_store(products, sums, c * padded + o, padded)


@body
def _sum_parts(c, worker, parts, dw, g, sums, padded):
    """dg = Gᵀ (Σ parts, in order) G for one input channel."""
    outputs, sums = dw.shape[3], sums[worker]
    for place in range(16):
        total = sums[place]
        clear(total)
        for part in range(len(parts)):
            more = parts[part, place, c * padded : c * padded + outputs]
            for o in range(outputs):
                total[o] += more[o]
    for row in range(g.shape[1]):
        for column in range(g.shape[1]):
            tap = dw[row, column, c]
            clear(tap)
            for i in range(len(g)):
                for j in range(len(g)):
                    factor = g[i, row] * g[j, column]
                    if factor != ZERO:
                        total = sums[4 * i + j]
                        for o in range(outputs):
                            tap[o] += factor * total[o]


@inner
def _place(square, down, right):
    """Image, line and column of a square."""
    n, rest = divmod(square, down * right)
    i, j = divmod(rest, right)
    return n, i, j


@inner
def _transform_inputs(image, start, count, squares, border, inputs, v, plane, vector):
    """V of `count` squares of a stack, all channels: v[ξ plane + s inputs + c]."""
    for s in range(count):
        n, i, j = _place(start + s, squares[1], squares[2])
        source = n * border[0] + 2 * i * border[1] + 2 * j * inputs
        for c in range(0, inputs, tile_columns(vector)):
            transform_input(image, source + c, border[1], inputs, v, s * inputs + c, plane, vector)
