"""How Winograd's convolution cuts images into squares, and where a thread's memory has what."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import height_width, square_shape, sums_shape, up
from psgd_ref.kernels.borders import clear, insert, insert_normalised, insert_passed
from psgd_ref.kernels.compile import LANES, body, inner
from psgd_ref.kernels.parallel import THREADS
from psgd_ref.kernels.reference import Pair
from psgd_ref.kernels.squares import OUTPUTS, PLACES, ROOM
from psgd_ref.kernels.tile import Shape

# Squares that are transformed and multiplied at a time, a multiple of every tile's height: V and M of 64
# channels fill the L2 cache.
SQUARES = 24
# Between the planes of V and of M, so that the 36 numbers of a square do not share a set of the L1 cache.
GAP = 16
# Weight gradients are summed in so many parts, whatever the number of threads, then the parts in order.
PARTS = 16


class Cut(NamedTuple):
    """How images are cut into squares, and where things lie in a thread's memory.

    images, height, width : how many, and lines of an image and numbers in a line
    down, right, rows, columns : squares of an image, and lines and pixels of a result
    inputs, outputs, padded : channels; padded to whole tiles
    stack, size, line, at : images at a time, numbers in a bordered one and in its line, offset of the image
    v_plane, m_plane : distances between the places of V and of M (or D)
    v, m, room, sums : offsets of V, M, `room` and the sums; the bordered images come first
    """

    images: int
    height: int
    width: int
    down: int
    right: int
    rows: int
    columns: int
    inputs: int
    outputs: int
    padded: int
    stack: int
    size: int
    line: int
    at: int
    v_plane: int
    m_plane: int
    v: int
    m: int
    room: int
    sums: int


class ForwardPlan(NamedTuple):
    """How a convolution is computed.

    cut, tile : of the images, and of the products
    result : the shape of the result
    zeros : in place of a bias
    room : for U, for all threads, and for a number of every stack
    """

    cut: Cut
    tile: Shape
    result: tuple[int, int, int, int]
    zeros: Array
    room: tuple[memory.Wanted, ...]


@lru_cache(maxsize=1024)
def forward_plan(x_shape: tuple[int, ...], w_shape: tuple[int, ...], padding: Pair) -> ForwardPlan:
    """How a convolution of images (N, H, W, C) is computed."""
    (images, height, width, inputs), outputs = x_shape, w_shape[3]
    tile = sums_shape(outputs)
    padded = up(outputs, height_width(tile)[1])
    stack = _best_stack(images, _squares(height, padding[0]) * _squares(width, padding[1]))
    cut, size = _placed(x_shape, outputs, padding, padded, stack, _geometry(x_shape, padding, (0, 0)), ())
    room = PLACES * inputs * padded, ((THREADS, size), np.float32), -(-images // stack)
    result = images, cut.rows, cut.columns, outputs
    return ForwardPlan(cut, tile, result, np.zeros(padded, np.float32), room)


class BackwardPlan(NamedTuple):
    """How both gradients of a convolution are computed.

    cut, back : of x and of dy: the bordered images of dy come behind those of x
    tile, across : of the products of the one and of the other gradient
    zeros, room : as in `ForwardPlan`; after the room for threads that for the parts and a number of each
    """

    cut: Cut
    back: Cut
    tile: Shape
    across: Shape
    zeros: Array
    room: tuple[memory.Wanted, ...]


@lru_cache(maxsize=1024)
def backward_plan(x_shape: tuple[int, ...], w_shape: tuple[int, ...], padding: Pair) -> BackwardPlan:
    """How the gradients of a convolution of images (N, H, W, C) are computed.

    The gradient of the weights reads x and dy; that of the input is a convolution of dy, by squares of its
    own.
    """
    (images, height, width, inputs), outputs = x_shape, w_shape[3]
    tile, across = square_shape(outputs), sums_shape(inputs)
    (tall, block), (_, other) = height_width(tile), height_width(across)
    padded, narrow = up(outputs, block), up(inputs, other)
    down, right = _squares(height, padding[0]), _squares(width, padding[1])
    stack = max(1, min(-(-images // PARTS), SQUARES // (down * right)))
    border = (2 - padding[0], 2 - padding[1])
    dy_shape = (images, height - 2 * border[0] + 2, width - 2 * border[1] + 2, outputs)
    forward = _geometry(x_shape, padding, (0, 0))
    # The squares of dy begin at its first pixel, and must lie inside its border, too.
    backward = _geometry(dy_shape, border, (border[0] + OUTPUTS * down, border[1] + OUTPUTS * right))
    both = (forward[0] + backward[0], max(inputs, outputs), max(padded, narrow))
    cut, size = _placed(x_shape, outputs, padding, padded, stack, forward, both)
    back, _ = _placed(dy_shape, inputs, border, narrow, stack, backward, both)
    # Behind the rest, the rows of dU with filling.
    work = THREADS, up(size + PLACES * up(inputs, tall) * padded, GAP)
    # One part without images, too: its sums are 0.
    parts = max(1, min(images, PARTS))
    sums = parts, 9 * inputs * outputs
    room = PLACES * outputs * narrow, (work, np.float32), (sums, np.float32), parts
    return BackwardPlan(cut, back, tile, across, np.zeros(narrow, np.float32), room)


def _squares(side: int, padding: int) -> int:
    """Squares along one side of the result."""
    return -(-(side + 2 * padding - 2) // OUTPUTS)


def _geometry(shape: tuple[int, ...], padding: Pair, least: Pair) -> tuple[int, int]:
    """Numbers in a bordered image and in its line; `least` : the fewest lines and columns."""
    _, height, width, channels = shape
    lines = max(OUTPUTS * _squares(height, padding[0]) + 2, least[0])
    line = max(OUTPUTS * _squares(width, padding[1]) + 2, least[1]) * channels
    return lines * line, line


def _placed(
    shape: tuple[int, ...],
    outputs: int,
    padding: Pair,
    padded: int,
    stack: int,
    geometry: tuple[int, int],
    room: tuple[int, ...],
) -> tuple[Cut, int]:
    """The cut, and the numbers up to its sums.

    room : numbers of bordered images, channels of V and of M for which there is room; by default its own
    """
    (images, height, width, inputs), (size, line) = shape, geometry
    bordered, most, widest = room or (size, inputs, padded)
    # The last tile of rows may read on beyond the squares.
    v = up(stack * bordered, LANES)
    m = v + PLACES * (SQUARES * most + GAP) + GAP
    last = m + PLACES * (SQUARES * widest + GAP) + GAP
    cut = Cut(
        images, height, width * inputs, _squares(height, padding[0]), _squares(width, padding[1]),
        height + 2 * padding[0] - 2, width + 2 * padding[1] - 2, inputs, outputs, padded,
        stack, size, line, padding[0] * line + padding[1] * inputs,
        SQUARES * inputs + GAP, SQUARES * padded + GAP, v, m, last, last + ROOM,
    )  # fmt: skip
    return cut, up(last + ROOM, GAP)


def _best_stack(images: int, squares: int) -> int:
    """Images that a thread takes at a time: few rows of tiles without a square, all threads equally busy."""

    def rows(stack: int) -> int:
        turns = up(up(images, stack) // stack, THREADS) // THREADS
        full, rest = divmod(stack * squares, SQUARES)
        return turns * (full * SQUARES + up(rest, height_width(sums_shape(2 * LANES))[0]))

    return min(range(1, max(1, min(images, 2 * SQUARES // squares)) + 1), key=rows)


@inner
def places(work, cut):
    """A thread's V, M and room."""
    return work[cut.v :], work[cut.m :], work[cut.room :]


@body
def clear_borders(work, start, cut):
    """What lies around every thread's bordered images, the first at `start`, stays zero from here on."""
    for worker in range(len(work)):
        for n in range(cut.stack):
            image = work[worker, start + n * cut.size : start + (n + 1) * cut.size]
            clear(image[: cut.at])
            for h in range(cut.height):
                clear(image[cut.at + h * cut.line + cut.width : cut.at + (h + 1) * cut.line])
            clear(image[cut.at + cut.height * cut.line :])


@inner
def insert_images(x, table, first, last, image, cut, vector):
    """Images first … last − 1 inside their borders, through the batch norm of `table` if it has channels."""
    for n in range(first, last):
        to, border = image[(n - first) * cut.size :], (cut.line, cut.at)
        if table.size > 0:
            insert_normalised(x, n, cut.height, cut.width, to, border, table, vector)
        else:
            insert(x, n, cut.height, cut.width, to, border)


@inner
def insert_gradients(dy, first, last, image, through, cut, vector):
    """As `insert_images`, dy through the batch norm's gradient of `through` if that has terms."""
    x, table, gated = through
    for n in range(first, last):
        to, border = image[(n - first) * cut.size :], (cut.line, cut.at)
        if table.size > 0:
            insert_passed(dy, x, n, cut.height, cut.width, to, border, table, gated, vector)
        else:
            insert(dy, n, cut.height, cut.width, to, border)


@inner
def place_of(square, cut):
    """Image, line and column of a square."""
    n, rest = divmod(square, cut.down * cut.right)
    i, j = divmod(rest, cut.right)
    return n, i, j
