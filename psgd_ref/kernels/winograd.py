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
transformed back, all within the cache of one core. What a batch norm would do before or after is done on the
way in and on the way out, so that its result is not written to memory and read again.

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
from psgd_ref.kernels.blocks import NONE, flat
from psgd_ref.kernels.borders import clear
from psgd_ref.kernels.compile import LANES, body, kernel
from psgd_ref.kernels.finite import all_finite
from psgd_ref.kernels.norm import fill_table
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.reference import After, Norm, Pair
from psgd_ref.kernels.squares import (
    NOTHING,
    OUTPUTS,
    PLACES,
    ROOM,
    VECTOR,
    transform_input,
    transform_output,
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
    tile_subtract,
    tile_total,
    tile_where_less,
)
from psgd_ref.kernels.winograd_cut import (
    SQUARES,
    clear_borders,
    forward_plan,
    insert_images,
    place_of,
    places,
)

# Channels from which the multiplications saved outweigh the transforms, and products (inputs × outputs ×
# pixels) of an image from which they outweigh U.
CHANNELS = 16
_PRODUCTS = 1 << 16
# In place of the table of a batch norm that is not there.
_NO_TABLE = np.empty((3, 0), np.float32)
NormArguments = tuple[Array, Array, Array, Array, float]
_NO_NORM: NormArguments = (NONE, NONE, NONE, NONE, 0.0)


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
    after: After | None = None,
) -> Array | None:
    """As `reference.conv2d` where `pays`; None where a result is not finite."""
    cut, tile, result, first, room = forward_plan(x.shape, w.shape, padding)
    y: Array = memory.empty(result)
    if bias is not None:
        first = first.copy()
        first[: cut.outputs] = bias
    u, work, checks = memory.scratch(*room)
    finite = _convolve(
        flat(x), *norm_arguments(norm), flat(w), u, first, _behind(after), flat(y), work, checks, cut, tile,
        VECTOR,
    )  # fmt: skip
    return y if finite else None


def norm_arguments(norm: Norm | None) -> tuple[NormArguments, Array]:
    """A batch norm as the kernels take it, and its table, which they fill; without a norm no channels."""
    if norm is None:
        return _NO_NORM, _NO_TABLE
    gamma, beta, mean, var, eps = norm
    table = np.empty((3, len(gamma)), np.float32)
    return (flat(gamma), flat(beta), flat(mean), flat(var), float(eps)), table


def _behind(after: After | None) -> tuple[NormArguments, Array, Array, bool]:
    """What a result passes through: a batch norm and its table, what is added, whether a ReLU follows."""
    if after is None:
        return *norm_arguments(None), NONE, False
    return *norm_arguments(after.norm), NONE if after.residual is None else flat(after.residual), after.relu


@kernel
def _convolve(x, norm, table, w, u, bias, behind, y, work, checks, cut, tile, vector):
    fill_table(norm, table)
    fill_table(behind[0], behind[1])
    for_each(cut.inputs, 9 * w.size, transform_channel, (w, False, u, work, cut, tile, vector))
    clear_borders(work, 0, cut)
    arguments = (x, table, u, bias, behind, y, work, checks, cut, tile, vector)
    for_each(len(checks), y.size * cut.inputs, _convolve_stack, arguments)
    return all_finite(checks)


@body
def transform_channel(c, worker, w, flipped, u, work, cut, tile, vector):
    """U = G g Gᵀ for one input channel, in the order (o // block, ξ, c, o % block) in which tiles read it.

    flipped : whether g[i, j, c, o] is w[2 − i, 2 − j, o, c]; else it is w[i, j, c, o]
    """
    block, lanes, room = tile_columns(tile), tile_columns(vector), work[worker, cut.room :]
    plane, right, down = cut.inputs * block, cut.inputs * cut.outputs, 3 * cut.inputs * cut.outputs
    kernels = room[ROOM // 2 :]  # the transform needs the first half
    for o in range(0, cut.padded, lanes):
        to = o // block * PLACES * plane + c * block + o % block
        if o < cut.outputs and flipped:
            for tap in range(9):
                source = ((8 - tap) * cut.outputs + o) * cut.inputs + c
                for i in range(lanes):
                    kernels[tap * lanes + i] = w[source + i * cut.inputs]
            transform_weights(kernels, 0, 3 * lanes, lanes, room, u, to, plane, vector)
        elif o < cut.outputs:
            transform_weights(w, c * cut.outputs + o, down, right, room, u, to, plane, vector)
        else:
            for place in range(PLACES):
                clear(u[to + place * plane : to + place * plane + lanes])


@body
def _convolve_stack(index, worker, x, table, u, bias, behind, y, work, checks, cut, tile, vector):
    """The convolution of a stack of images."""
    first, last = index * cut.stack, min(cut.images, (index + 1) * cut.stack)
    insert_images(x, table, first, last, work[worker], cut, vector)
    checks[index] = convolve_squares(
        first, last, work[worker], work[worker], u, bias, behind, y, cut, tile, vector
    )


@body
def convolve_squares(first, last, image, work, u, bias, behind, y, cut, tile, vector):
    """The convolution of images inside their borders; 0, or NaN where a result is not finite."""
    v, m, room = places(work, cut)
    tall, block = tile_rows(tile), tile_columns(tile)
    total = (last - first) * cut.down * cut.right
    # Stays zero as long as all that is multiplied by zero and added to it is finite.
    check = tile_load(vector, NOTHING, 0, 0)
    for start in range(0, total, SQUARES):
        count = min(SQUARES, total - start)
        transform_inputs(image, start, count, cut, room, v, vector)
        for place in range(PLACES):
            for o in range(0, cut.padded, block):
                weights = (o * PLACES + place * block) * cut.inputs
                for s in range(0, count, tall):
                    products = tile_load(tile, NOTHING, 0, 0)
                    for c in range(cut.inputs):
                        source = place * cut.v_plane + s * cut.inputs + c
                        products = tile_rank1(products, v, source, cut.inputs, u, weights + c * block)
                    tile_store(products, m, place * cut.m_plane + s * cut.padded + o, cut.padded)
        check = _transform_outputs(m, first, start, count, bias, behind, y, check, room, cut, vector)
    return tile_total(check)


@body
def _transform_outputs(m, first, start, count, bias, behind, y, check, room, cut, vector):
    """The pixels of `count` squares: y = Aᵀ M A + b, through a batch norm, + what is added, and a ReLU."""
    _, table, plus, relu = behind
    lanes, zero = tile_columns(vector), tile_load(vector, NOTHING, 0, 0)
    for o in range(0, cut.outputs, lanes):
        offset = tile_load(vector, bias, o, 0)
        mean, factor, shift = zero, zero, zero
        if table.size > 0:
            mean, factor = tile_load(vector, table[0], o, 0), tile_load(vector, table[1], o, 0)
            shift = tile_load(vector, table[2], o, 0)
        for s in range(count):
            n, i, j = place_of(start + s, cut)
            high, wide = min(OUTPUTS, cut.rows - OUTPUTS * i), min(OUTPUTS, cut.columns - OUTPUTS * j)
            corner = ((first + n) * cut.rows + OUTPUTS * i) * cut.columns + OUTPUTS * j
            transform_output(m, s * cut.padded + o, cut.m_plane, room, vector)
            for row in range(high):
                target = (corner + row * cut.columns) * cut.outputs + o
                for column in range(wide):
                    pixel = tile_load(vector, room, (row * OUTPUTS + column) * lanes, 0)
                    pixel = tile_add(pixel, offset)
                    if table.size > 0:
                        pixel = tile_multiply_add(tile_subtract(pixel, mean), factor, shift)
                    if plus.size > 0:
                        pixel = tile_add(pixel, tile_load(vector, plus, target + column * cut.outputs, 0))
                    check = tile_multiply_add(pixel, zero, check)
                    if relu:
                        pixel = tile_where_less(pixel, zero, zero, pixel)
                    tile_store(pixel, y, target + column * cut.outputs, 0)
    return check


@body
def transform_inputs(image, start, count, cut, room, v, vector):
    """V of `count` squares of a stack, all channels: v[ξ plane + s inputs + c]."""
    for s in range(count):
        n, i, j = place_of(start + s, cut)
        source = n * cut.size + OUTPUTS * (i * cut.line + j * cut.inputs)
        for c in range(0, cut.inputs, tile_columns(vector)):
            to = s * cut.inputs + c
            transform_input(image, source + c, cut.line, cut.inputs, room, v, to, cut.v_plane, vector)
