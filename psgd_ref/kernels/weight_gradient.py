"""The weight gradient of a convolution: how it is cut into parts for threads, and into tiles; and its sums.

    dW[i,j,c,o] = Σ over images and pixels of x[h·s+i−p, w·s+j−p, c] · dy[h,w,o]

A row of a tile has the sums of one product (i, j, c), which reads one number a pixel, for all outputs. Where
outputs are so few that they leave half of a vector empty, a row has two products that lie side by side, as
the even and the odd lanes.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import (
    FLAT,
    PAIRED,
    WIDE,
    flat,
    gradient_shape,
    height_width,
    loose_gradient_shape,
    up,
)
from psgd_ref.kernels.borders import clear, copy, insert
from psgd_ref.kernels.compile import LANES, body, inner, kernel
from psgd_ref.kernels.finite import all_finite
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.plans import Plan, forward_plan
from psgd_ref.kernels.reference import Indices, Pair
from psgd_ref.kernels.tile import (
    Shape,
    tile_add,
    tile_columns,
    tile_load,
    tile_load_part,
    tile_rank1,
    tile_rows,
    tile_store,
    tile_store_part,
    tile_twice,
)

# Weight gradients are summed in so many parts, whatever the number of threads, then the parts in order:
# the bits do not depend on the threads.
PARTS = 16
# Pixels that the weight gradient takes at a time, so that both operands stay in the L1 cache; of small
# images several.
BAND = 128


@dataclass(frozen=True, eq=False)
class _GradientPlan:
    """How the weight gradient of a convolution is cut.

    tiles : for every tile its first product and the one behind its last, the first one's offset in a bordered
        image, and the first pixel that has such products and the one behind the last
    steps : distance of every product of a tile from its first, one tile after the other; None where they lie
        next to each other; 2 where a row of the tile has two of them, which alternate in its columns: few
        outputs leave half of a vector empty
    sizes : parts, numbers in one, images that are copied at a time, outputs without and with filling, and
        products in a row of a tile
    scratch : how many numbers a thread's images and gradients take
    room : how many numbers all parts and all scratch take
    """

    forward: Plan
    tiles: Indices
    steps: Indices | int | None
    sizes: tuple[int, int, int, int, int, int]
    scratch: Pair
    room: int
    tile: Shape


@lru_cache(maxsize=1024)
def _gradient_plan(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair
) -> _GradientPlan:
    """The weight gradient of a convolution of images (N, H, W, C)."""
    plan = forward_plan(x_shape, w_shape, stride, padding, False)
    rows, columns, inputs, outputs = plan.taps
    products, images, pixels, run = plan.products, plan.images[0], plan.images[3] // outputs, columns * inputs
    tile, side = gradient_shape(outputs), 1
    steps: Indices | int | None = None
    tall, block = height_width(tile)
    cuts = _cut(rows, run, tall)
    # A line of few products leaves most of a tall tile empty.
    loose = loose_gradient_shape(outputs)
    few = _cut(1, rows * run, height_width(loose)[0])
    if 2 * len(few) * height_width(loose)[0] < len(cuts) * tall:
        tile, tall, cuts = loose, height_width(loose)[0], few
        filled = [np.pad(products[a:b], (0, a + tall - b), mode="edge") - products[a] for a, b in cuts]
        steps = np.concatenate(filled)
    short, _ = height_width(PAIRED)
    pairs = _cut(rows, run, 2 * short)
    if 2 * outputs <= LANES and len(pairs) * short < len(cuts) * tall:
        tile, tall, cuts, steps, side = PAIRED, short, pairs, 2, 2
    bands = [_union(plan.bands[a // run : (b - 1) // run + 1]) for a, b in cuts]
    tiles = [(a, b, products[a], *band) for (a, b), band in zip(cuts, bands, strict=True)]
    padded = up(outputs, block)
    parts, length = max(1, min(PARTS, images)), len(cuts) * tall * padded
    stack = max(1, min(BAND // pixels, images // PARTS))
    # The last tile of a line may read on beyond it; those rows of the sum are left out. A gradient that fills
    # its tiles is read where it lies.
    scratch = (stack * plan.border[0] + side * tall, stack * pixels * padded if padded != outputs else 0)
    return _GradientPlan(
        plan,
        np.array(tiles, np.intp),
        steps,
        (parts, length, stack, outputs, padded, side),
        scratch,
        parts * length + THREADS * sum(scratch),
        tile,
    )


def _cut(lines: int, run: int, tall: int) -> list[Pair]:
    """Tiles of products, from and to, that end with a line."""
    return [(k, min(k + tall, i + run)) for i in range(0, lines * run, run) for k in range(i, i + run, tall)]


def _union(bands: Indices) -> Pair:
    """From the first to the last of all pixels in the bands."""
    some = bands[bands[:, 0] < bands[:, 1]]
    return (some[:, 0].min(), some[:, 1].max()) if len(some) else (0, 0)


def weight_gradient(dy: Array, x: Array, dw: Array, stride: Pair, padding: Pair) -> bool:
    """dW[i,j,c,o] = Σ over images and pixels of X[n, reads[p] + (i, j, c)] · dy[n, p, o].

    Returns whether all of them are finite.
    """
    cut = _gradient_plan(x.shape, dw.shape, stride, padding)
    plan = cut.forward
    finite: bool = _weights(
        flat(dy), flat(x), flat(dw), *memory.scratch(cut.room), plan.reads, cut.tiles, cut.steps, plan.images,
        plan.border, cut.sizes, cut.scratch, cut.tile,
    )  # fmt: skip
    return finite


@kernel
def _weights(dy, x, dw, room, reads, tiles, steps, sizes, border, cut, own, tile):
    parts, length, _, outputs, _, _ = cut
    sums, scratch = room[: parts * length], room[parts * length :]
    clear(scratch)
    arguments = (dy, x, sums, scratch, reads, tiles, steps, sizes, border, cut, own, tile)
    for_each(parts, sizes[0] * sizes[3] * (dw.size // outputs), _weights_part, arguments)
    for_each(len(tiles), sums.size, _sum_parts, (sums, dw, tiles, tile_rows(tile), cut))
    return all_finite(dw)


@body
def _weights_part(part, worker, dy, x, sums, scratch, reads, tiles, steps, sizes, border, cut, own, tile):
    """The weight gradient of some images: sums[part, k, o] = Σ x[pixel + product k] · dy[pixel, o]."""
    (images, height, width, y_size), (size, line, at) = sizes, border
    parts, length, stack, outputs, padded, side = cut
    pixels = y_size // outputs
    tall, block = tile_rows(tile), tile_columns(tile)
    place = worker * (own[0] + own[1])
    image, gradient = scratch[place : place + own[0]], scratch[place + own[0] : place + own[0] + own[1]]
    totals = sums[part * length : (part + 1) * length]
    clear(totals)
    last = images * (part + 1) // parts
    for first in range(images * part // parts, last, stack):
        here = min(stack, last - first)
        for n in range(here):
            insert(x, first + n, height, width, image[n * size :], (line, at))
        source, start = dy, first * pixels * outputs
        if padded != outputs:
            for p in range(here * pixels):
                row = start + p * outputs
                if side == 2:
                    twice = tile_twice(tile_load_part(FLAT, dy, row, 0, outputs))
                    tile_store(twice, gradient, p * padded, 0)
                else:
                    copy(dy[row : row + outputs], gradient[p * padded : p * padded + outputs])
            source, start = gradient, 0
        for band in range(0, pixels, BAND):
            for index in range(len(tiles)):
                above, below = max(band, tiles[index, 3]), min(band + BAND, tiles[index, 4])
                rows_read = (steps, index * tall)
                for o in range(0, padded, block):
                    target = index * tall * padded + o
                    total = tile_load(tile, totals, target, padded)
                    for n in range(here):
                        corner, factor = n * size + tiles[index, 2], start + n * pixels * padded + o
                        for p in range(above, below):
                            pixel = corner + reads[p]
                            total = tile_rank1(total, image, pixel, rows_read, source, factor + p * padded)
                    tile_store(total, totals, target, padded)


@body
def _sum_parts(index, worker, sums, dw, tiles, tall, cut):
    """dw = Σ of the parts, in order, for the products of one tile, without the filling."""
    first, count = tiles[index, 0], tiles[index, 1] - tiles[index, 0]
    parts, length, _, outputs, padded, side = cut
    if side == 2:
        _sum_pairs(index * tall * padded, sums, dw, first * outputs, count, cut)
        return
    # Without filling between them, the rows are one long row.
    rows, width = (1, count * outputs) if padded == outputs else (count, outputs)
    for k in range(rows):
        target, source = (first + k) * outputs, (index * tall + k) * padded
        for o in range(0, width, tile_columns(WIDE)):
            left = width - o
            total = tile_load_part(WIDE, sums, source + o, 0, left)
            for part in range(1, parts):
                total = tile_add(total, tile_load_part(WIDE, sums, part * length + source + o, 0, left))
            tile_store_part(total, dw, target + o, 0, left)


@inner
def _sum_pairs(source, sums, dw, target, count, cut):
    """As `_sum_parts` for `count` products from `target` on, whose sums are two in a row from `source` on."""
    parts, length, _, outputs, padded, _ = cut
    for k in range(0, count, 2):
        total = tile_load(FLAT, sums, source, 0)
        for part in range(1, parts):
            total = tile_add(total, tile_load(FLAT, sums, part * length + source, 0))
        tile_store(total, sums, source, 0)
        for n in range(k, min(k + 2, count)):
            for o in range(outputs):
                dw[target + n * outputs + o] = sums[source + 2 * o + n - k]
        source += padded
