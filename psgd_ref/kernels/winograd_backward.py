"""Both gradients of Winograd's convolution (`winograd.py`), of some images one after the other.

The squares of dy are transformed twice: for the gradient of the weights as D = A dy Aᵀ, square beside square,
and for the gradient of the input, a convolution of dy with flipped weights, as V is. So the images of dy are
put inside a border once, and what a batch norm behind makes of them (`NormGradient`) is computed on the way.
"""

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import NONE, ZERO, flat
from psgd_ref.kernels.borders import clear
from psgd_ref.kernels.compile import body, kernel
from psgd_ref.kernels.finite import all_finite
from psgd_ref.kernels.norm import fill_table
from psgd_ref.kernels.parallel import for_each
from psgd_ref.kernels.reference import Norm, NormGradient, Pair
from psgd_ref.kernels.squares import NOTHING, OUTPUTS, PLACES, VECTOR, transform_gradient, transform_sums
from psgd_ref.kernels.tile import tile_add, tile_columns, tile_load, tile_rank1, tile_rows, tile_store
from psgd_ref.kernels.winograd import (
    convolve_squares,
    norm_arguments,
    transform_channel,
    transform_inputs,
)
from psgd_ref.kernels.winograd_cut import (
    SQUARES,
    backward_plan,
    clear_borders,
    insert_gradients,
    insert_images,
    place_of,
    places,
)

# Numbers of the weights that a thread sums at a time.
_SHARE = 1024
# In place of the terms of a batch norm's gradient that is not there.
_NO_TERMS = np.empty((5, 0), np.float32)


def conv2d_backward(
    dy: Array,
    x: Array,
    w: Array,
    dw: Array,
    padding: Pair,
    need_dx: bool,
    norm: Norm | None,
    plus: Array | None,
    through: NormGradient | None,
) -> tuple[Array | None, bool]:
    """As `reference.conv2d_backward` where `pays`, with dw put in place; dx, and whether all is finite.

    Both gradients of some images are taken one after the other, so that dy, or what it is computed from, is
    read once.
    """
    cut, back, tile, across, zeros, room = backward_plan(x.shape, w.shape, padding)
    dx = memory.empty(x.shape) if need_dx else None
    behind = (NONE, _NO_TERMS, False)
    if through is not None:
        behind = (flat(through.x), np.ascontiguousarray(through.terms), through.gated)
    beside = (*norm_arguments(None), NONE if plus is None else flat(plus), False)
    u, work, parts, checks = memory.scratch(*room)
    finite: bool = _gradients(
        flat(dy), behind, flat(x), *norm_arguments(norm), flat(w), u, zeros, beside,
        NONE if dx is None else flat(dx), flat(dw), parts, work, checks, cut, back, tile, across, VECTOR,
    )  # fmt: skip
    return dx, finite


@kernel
def _gradients(
    dy, through, x, norm, table, w, u, zeros, beside, dx, dw, parts, work, checks, cut, back, tile, across,
    vector,
):  # fmt: skip
    fill_table(norm, table)
    if dx.size > 0:
        for_each(back.inputs, 9 * w.size, transform_channel, (w, True, u, work, back, across, vector))
    clear_borders(work, 0, cut)
    clear_borders(work, cut.stack * cut.size, back)
    arguments = (
        dy, through, x, table, u, zeros, beside, dx, parts, work, checks, cut, back, tile, across, vector
    )  # fmt: skip
    for_each(len(parts), dy.size * cut.inputs, _gradients_part, arguments)
    for_each((dw.size + _SHARE - 1) // _SHARE, parts.size, _sum_parts, (parts, dw, vector))
    return all_finite(dw) and all_finite(checks)


@body
def _gradients_part(
    part, worker, dy, through, x, table, u, zeros, beside, dx, parts, work, checks, cut, back, tile, across,
    vector,
):  # fmt: skip
    """The gradients of some images: parts[part] = Gᵀ (Σ_s V[ξ, s, c] · D[ξ, s, o]) G, and dx."""
    image, sums = work[worker], work[worker, cut.sums :]
    gradient = image[cut.stack * cut.size :]
    v, d, room = places(image, cut)
    tall, block = tile_rows(tile), tile_columns(tile)
    rows = (cut.inputs + tall - 1) // tall * tall
    plane = rows * cut.padded
    begin, end = cut.images * part // len(parts), cut.images * (part + 1) // len(parts)
    if begin == end:
        clear(sums[: PLACES * plane])
    check = ZERO
    for first in range(begin, end, cut.stack):
        last = min(end, first + cut.stack)
        insert_images(x, table, first, last, image, cut, vector)
        insert_gradients(dy, first, last, gradient, through, back, vector)
        total = (last - first) * cut.down * cut.right
        for start in range(0, total, SQUARES):
            count = min(SQUARES, total - start)
            transform_inputs(image, start, count, cut, room, v, vector)
            _transform_gradients(gradient, start, count, cut, back, room, d, vector)
            for place in range(PLACES):
                for c in range(0, rows, tall):
                    for o in range(0, cut.padded, block):
                        target = place * plane + c * cut.padded + o
                        products = tile_load(tile, NOTHING, 0, 0)
                        if first > begin or start > 0:
                            products = tile_load(tile, sums, target, cut.padded)
                        for s in range(count):
                            source = place * cut.v_plane + s * cut.inputs + c
                            factor = place * cut.m_plane + s * cut.padded + o
                            products = tile_rank1(products, v, source, 1, d, factor)
                        tile_store(products, sums, target, cut.padded)
        if dx.size > 0:
            check += convolve_squares(
                first, last, gradient, image, u, zeros, beside, dx, back, across, vector
            )
    checks[part] = check
    _transform_all_sums(sums, plane, room, parts[part], cut, vector)


@body
def _sum_parts(index, worker, parts, dw, vector):
    """dg = Σ parts, in order, for some of the numbers."""
    # Channels come in whole vectors.
    for i in range(index * _SHARE, min(dw.size, (index + 1) * _SHARE), tile_columns(vector)):
        total = tile_load(vector, parts[0], i, 0)
        for part in range(1, len(parts)):
            total = tile_add(total, tile_load(vector, parts[part], i, 0))
        tile_store(total, dw, i, 0)


@body
def _transform_gradients(gradient, start, count, cut, back, room, d, vector):
    """D of `count` squares of a stack, all channels: d[ξ plane + s padded + o]."""
    for s in range(count):
        n, i, j = place_of(start + s, cut)
        source = n * back.size + back.at + OUTPUTS * (i * back.line + j * cut.outputs)
        for o in range(0, cut.outputs, tile_columns(vector)):
            to = s * cut.padded + o
            transform_gradient(gradient, source + o, back.line, cut.outputs, room, d, to, cut.m_plane, vector)


@body
def _transform_all_sums(sums, plane, room, dw, cut, vector):
    """dW = Gᵀ dU G of all channels."""
    tap = cut.inputs * cut.outputs
    for c in range(cut.inputs):
        for o in range(0, cut.outputs, tile_columns(vector)):
            at, to = c * cut.padded + o, c * cut.outputs + o
            transform_sums(sums, at, plane, room, dw, to, 3 * tap, tap, vector)
