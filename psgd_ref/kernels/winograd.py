"""3×3 convolution at stride 1 with 36 multiplications where the plain sum needs 144: Winograd's F(4×4, 3×3).

A square of 6×6 inputs d gives a square of 4×4 outputs y of the kernel g:

    y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A

It is multiplication of polynomials by their values at points, here 0, ±p, ±q and ∞ with p = √½ and q = √2:

         ⎡ 1   0  −5⁄2   0   1  0 ⎤       ⎡  1     0     0  ⎤        ⎡ 1  1   1   1   1  0 ⎤
         ⎢ 0  −2p  −2    p   1  0 ⎥       ⎢ −2⁄3 −2p⁄3 −1⁄3 ⎥   Aᵀ = ⎢ 0  p  −p   q  −q  0 ⎥
    Bᵀ = ⎢ 0   2p  −2   −p   1  0 ⎥   G = ⎢ −2⁄3  2p⁄3 −1⁄3 ⎥        ⎢ 0  ½   ½   2   2  0 ⎥
         ⎢ 0  −q⁄2 −½    q   1  0 ⎥       ⎢  1⁄6  q⁄6   1⁄3 ⎥        ⎣ 0  p³ −p³  q³ −q³ 1 ⎦
         ⎢ 0   q⁄2 −½   −q   1  0 ⎥       ⎢  1⁄6 −q⁄6   1⁄3 ⎥
         ⎣ 0   1    0  −5⁄2  0  1 ⎦       ⎣  0     0     1  ⎦

B and A cost additions, and squares are transformed once for all channels of the other side: the sum over
input channels goes inside the bracket. So the work is 36 matrix products, one for each place ξ of a square,
over many squares s,

    M[ξ, s, o] = Σ_c V[ξ, s, c] · U[ξ, c, o],   V = Bᵀ d B,  U = G g Gᵀ,

and for the gradient of the weights, with the transforms transposed,

    dU[ξ, c, o] = Σ_s V[ξ, s, c] · D[ξ, s, o],   D = A dy Aᵀ,  dg = Gᵀ dU G.

The gradient of the input is a forward convolution with flipped weights. A few images at a time are copied
into a scratch with a zero border, and of their squares a few at a time are transformed, multiplied and
transformed back, all within the cache of one core.

Rounding errors are two to three times those of the plain sum; with the points ±1, ±2 that are often used
they would be six times. What is not finite would spread over a square, so results that are not finite are
left to the oracle.

Source: Winograd 1980; for convolutions Lavin and Gray 2016; points that are not whole numbers, Barabasz,
Anderson, Soodhalter, Gregg 2020.
"""

from functools import lru_cache

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import NONE, flat, gradient_shape, height_width, sums_shape, up
from psgd_ref.kernels.borders import clear, copy, insert
from psgd_ref.kernels.compile import LANES, body, inner, kernel
from psgd_ref.kernels.finite import all_finite
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.reference import Norm, Pair
from psgd_ref.kernels.squares import (
    NOTHING,
    OUTPUTS,
    PLACES,
    VECTOR,
    transform_gradient,
    transform_input,
    transform_output,
    transform_sums,
    transform_weights,
)
from psgd_ref.kernels.tile import (
    tile_add,
    tile_columns,
    tile_load,
    tile_multiply_add,
    tile_rank1,
    tile_rows,
    tile_store,
    tile_total,
)
from psgd_ref.kernels.winograd_cut import (
    PARTS,
    SQUARES,
    clear_borders,
    cut_images,
    insert_images,
    place_of,
    places,
)

# Channels from which the multiplications saved outweigh the transforms, and products (inputs × outputs ×
# pixels) of an image from which they outweigh U.
CHANNELS = 16
_PRODUCTS = 1 << 16
# Numbers of the weights that a thread sums at a time.
_SHARE = 1024
_NO_TABLE = np.empty((3, 0), np.float32)


@lru_cache(maxsize=1024)
def pays(image: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair) -> bool:
    """Whether to convolve images (H, W, C) so: 3×3 at stride 1, channels in whole vectors, enough work."""
    (height, width, _), (*size, inputs, outputs) = image, w_shape
    return (
        (*size, *stride) == (3, 3, 1, 1)
        and max(padding) <= 2
        and min(height, width) >= 4
        and min(inputs, outputs) >= CHANNELS
        and inputs % LANES == outputs % LANES == 0
        and inputs * outputs * height * width >= _PRODUCTS
    )


def conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    padding: Pair,
    norm: Norm | None = None,
    plus: Array | None = None,
) -> Array | None:
    """As `reference.conv2d` where `pays`, and `plus` added; None where a result is not finite."""
    outputs, tile = w.shape[3], sums_shape(w.shape[3])
    cut, size = cut_images(x.shape, outputs, padding, up(outputs, height_width(tile)[1]), 0)
    y: Array = memory.empty((cut.images, cut.rows, cut.columns, outputs))
    first = np.zeros(cut.padded, np.float32)
    if bias is not None:
        first[:outputs] = bias
    checks = np.empty(-(-cut.images // cut.stack), np.float32)
    finite = _convolve(
        flat(x), _table(norm), flat(w), memory.empty((PLACES * cut.inputs * cut.padded,)), first,
        NONE if plus is None else flat(plus), y.reshape(-1), memory.empty((THREADS, size)), checks, cut,
        tile, VECTOR,
    )  # fmt: skip
    return y if finite else None


def weights_gradient(dy: Array, x: Array, dw: Array, padding: Pair, norm: Norm | None = None) -> bool:
    """The weights' part of `reference.conv2d_backward` where `pays`, into dw; whether it is finite."""
    outputs, tile = dy.shape[3], gradient_shape(dy.shape[3])
    tall, block = height_width(tile)
    padded = up(outputs, block)
    cut, size = cut_images(x.shape, outputs, padding, padded, up(x.shape[3], tall))
    parts = min(cut.images, PARTS)
    finite: bool = _weights(
        flat(dy), flat(x), _table(norm), flat(dw), memory.empty((parts, dw.size)),
        memory.empty((THREADS, size)), cut, tile, VECTOR,
    )  # fmt: skip
    return finite


def _table(norm: Norm | None) -> Array:
    """Mean, factor and shift of every channel, as `norm.py` rounds them; without a norm no channels."""
    if norm is None:
        return _NO_TABLE
    factor = norm.gamma / np.sqrt(norm.var + np.float64(norm.eps))
    return np.array((norm.mean, factor, norm.beta), np.float32)


@kernel
def _convolve(x, table, w, u, bias, plus, y, work, checks, cut, tile, vector):
    for_each(cut.inputs, 9 * w.size, _transform_weights, (w, u, work, cut, tile, vector))
    clear_borders(work, cut)
    arguments = (x, table, u, bias, plus, y, work, checks, cut, tile, vector)
    for_each(len(checks), y.size * cut.inputs, _convolve_stack, arguments)
    return all_finite(checks)


@kernel
def _weights(dy, x, table, dw, parts, work, cut, tile, vector):
    clear_borders(work, cut)
    for_each(len(parts), dy.size * cut.inputs, _weights_part, (dy, x, table, parts, work, cut, tile, vector))
    for_each((dw.size + _SHARE - 1) // _SHARE, parts.size, _sum_parts, (parts, dw))
    return all_finite(dw)


@body
def _transform_weights(c, worker, w, u, work, cut, tile, vector):
    """U = G g Gᵀ for one input channel, in the order (o // block, ξ, c, o % block) in which tiles read it."""
    block, lanes, room = tile_columns(tile), tile_columns(vector), work[worker, cut.room :]
    plane, right, down = cut.inputs * block, cut.inputs * cut.outputs, 3 * cut.inputs * cut.outputs
    for o in range(0, cut.padded, lanes):
        to = o // block * PLACES * plane + c * block + o % block
        if o < cut.outputs:
            transform_weights(w, c * cut.outputs + o, down, right, room, u, to, plane, vector)
        else:
            for place in range(PLACES):
                clear(u[to + place * plane : to + place * plane + lanes])


@body
def _convolve_stack(index, worker, x, table, u, bias, plus, y, work, checks, cut, tile, vector):
    """The convolution of a stack of images."""
    image, v, m, room = places(work[worker], cut)
    tall, block = tile_rows(tile), tile_columns(tile)
    first, last = index * cut.stack, min(cut.images, (index + 1) * cut.stack)
    insert_images(x, table, first, last, image, cut, vector)
    total = (last - first) * cut.down * cut.right
    # Stays zero as long as all that is multiplied by zero and added to it is finite.
    check = tile_load(vector, NOTHING, 0, 0)
    for start in range(0, total, SQUARES):
        count = min(SQUARES, total - start)
        _transform_inputs(image, start, count, cut, room, v, vector)
        for place in range(PLACES):
            for o in range(0, cut.padded, block):
                weights = (o * PLACES + place * block) * cut.inputs
                for s in range(0, count, tall):
                    products = tile_load(tile, NOTHING, 0, 0)
                    for c in range(cut.inputs):
                        source = place * cut.v_plane + s * cut.inputs + c
                        products = tile_rank1(products, v, source, cut.inputs, u, weights + c * block)
                    tile_store(products, m, place * cut.m_plane + s * cut.padded + o, cut.padded)
        for s in range(count):
            check = _transform_outputs(m, s, first, start, bias, plus, y, check, room, cut, vector)
    checks[index] = tile_total(check)


@inner
def _transform_outputs(m, s, first, start, bias, plus, y, check, room, cut, vector):
    """The pixels of one square: y = Aᵀ M A + b [+ plus]."""
    lanes, zero = tile_columns(vector), tile_load(vector, NOTHING, 0, 0)
    n, i, j = place_of(start + s, cut)
    high, wide = min(OUTPUTS, cut.rows - OUTPUTS * i), min(OUTPUTS, cut.columns - OUTPUTS * j)
    corner = ((first + n) * cut.rows + OUTPUTS * i) * cut.columns + OUTPUTS * j
    for o in range(0, cut.outputs, lanes):
        transform_output(m, s * cut.padded + o, cut.m_plane, room, vector)
        offset = tile_load(vector, bias, o, 0)
        for row in range(high):
            target = (corner + row * cut.columns) * cut.outputs + o
            for column in range(wide):
                pixel = tile_load(vector, room, (row * OUTPUTS + column) * lanes, 0)
                pixel = tile_add(pixel, offset)
                if plus.size > 0:
                    pixel = tile_add(pixel, tile_load(vector, plus, target + column * cut.outputs, 0))
                check = tile_multiply_add(pixel, zero, check)
                tile_store(pixel, y, target + column * cut.outputs, 0)
    return check


@body
def _weights_part(part, worker, dy, x, table, parts, work, cut, tile, vector):
    """The gradient of some images: parts[part] = Gᵀ (Σ_s V[ξ, s, c] · D[ξ, s, o]) G."""
    image, v, d, room = places(work[worker], cut)
    gradient, sums = image[cut.stack * cut.size :], work[worker, cut.sums :]
    tall, block, lanes = tile_rows(tile), tile_columns(tile), tile_columns(vector)
    rows = (cut.inputs + tall - 1) // tall * tall
    plane = rows * cut.padded
    line = OUTPUTS * cut.right * cut.outputs
    clear(sums[: PLACES * plane])
    end = cut.images * (part + 1) // len(parts)
    for first in range(cut.images * part // len(parts), end, cut.stack):
        last = min(end, first + cut.stack)
        insert_images(x, table, first, last, image, cut, vector)
        for n in range(last - first):
            to = gradient[n * OUTPUTS * cut.down * line :]
            insert(dy, first + n, cut.rows, cut.columns * cut.outputs, to, (line, 0))
        total = (last - first) * cut.down * cut.right
        for start in range(0, total, SQUARES):
            count = min(SQUARES, total - start)
            _transform_inputs(image, start, count, cut, room, v, vector)
            for s in range(count):
                n, i, j = place_of(start + s, cut)
                source = (n * cut.down + i) * OUTPUTS * line + OUTPUTS * j * cut.outputs
                for o in range(0, cut.outputs, lanes):
                    to = s * cut.padded + o
                    transform_gradient(
                        gradient, source + o, line, cut.outputs, room, d, to, cut.m_plane, vector
                    )
            for place in range(PLACES):
                for c in range(0, rows, tall):
                    for o in range(0, cut.padded, block):
                        target = place * plane + c * cut.padded + o
                        products = tile_load(tile, sums, target, cut.padded)
                        for s in range(count):
                            source = place * cut.v_plane + s * cut.inputs + c
                            factor = place * cut.m_plane + s * cut.padded + o
                            products = tile_rank1(products, v, source, 1, d, factor)
                        tile_store(products, sums, target, cut.padded)
    tap = cut.inputs * cut.outputs
    for c in range(cut.inputs):
        for o in range(0, cut.outputs, lanes):
            at, to = c * cut.padded + o, c * cut.outputs + o
            transform_sums(sums, at, plane, room, parts[part], to, 3 * tap, tap, vector)


@body
def _sum_parts(index, worker, parts, dw):
    """dg = Σ parts, in order, for some of the numbers."""
    total = dw[index * _SHARE : (index + 1) * _SHARE]
    copy(parts[0, index * _SHARE : index * _SHARE + total.size], total)
    for part in range(1, len(parts)):
        more = parts[part, index * _SHARE : index * _SHARE + total.size]
        for i in range(total.size):
            total[i] += more[i]


@inner
def _transform_inputs(image, start, count, cut, room, v, vector):
    """V of `count` squares of a stack, all channels: v[ξ plane + s inputs + c]."""
    for s in range(count):
        n, i, j = place_of(start + s, cut)
        source = n * cut.size + OUTPUTS * (i * cut.line + j * cut.inputs)
        for c in range(0, cut.inputs, tile_columns(vector)):
            to = s * cut.inputs + c
            transform_input(image, source + c, cut.line, cut.inputs, room, v, to, cut.v_plane, vector)
