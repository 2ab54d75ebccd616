"""How Winograd's convolution cuts images into squares, and where a thread's memory has what."""

from functools import lru_cache
from typing import NamedTuple

from psgd_ref.kernels.blocks import height_width, sums_shape, up
from psgd_ref.kernels.borders import clear, insert, insert_normalised
from psgd_ref.kernels.compile import LANES, inner
from psgd_ref.kernels.parallel import THREADS
from psgd_ref.kernels.reference import Pair
from psgd_ref.kernels.squares import OUTPUTS, PLACES, ROOM

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


@lru_cache(maxsize=1024)
def cut_images(
    x_shape: tuple[int, ...], outputs: int, padding: Pair, padded: int, tall: int
) -> tuple[Cut, int]:
    """The cut, and the numbers that each thread needs; tall : rows of dU with filling, 0 without dU."""
    images, height, width, inputs = x_shape
    rows, columns = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
    down, right = -(-rows // OUTPUTS), -(-columns // OUTPUTS)
    if tall:
        stack = max(1, min(-(-images // min(max(images, 1), PARTS)), SQUARES // (down * right)))
    else:
        stack = _best_stack(images, down * right)
    line = (OUTPUTS * right + 2) * inputs
    size = (OUTPUTS * down + 2) * line
    line_dy = OUTPUTS * right * outputs
    # The last tile of rows may read on beyond the squares.
    v_plane, m_plane = SQUARES * inputs + GAP, SQUARES * padded + GAP
    bordered = stack * (size + (OUTPUTS * down * line_dy if tall else 0))
    v = up(bordered, LANES)
    m = v + PLACES * v_plane + GAP
    room = m + PLACES * m_plane + GAP
    sums = room + ROOM
    cut = Cut(
        images, height, width * inputs, down, right, rows, columns, inputs, outputs, padded,
        stack, size, line, padding[0] * line + padding[1] * inputs, v_plane, m_plane, v, m, room, sums,
    )  # fmt: skip
    return cut, up(sums + PLACES * tall * padded, GAP)


def _best_stack(images: int, squares: int) -> int:
    """Images that a thread takes at a time: few rows of tiles without a square, all threads equally busy."""

    def rows(stack: int) -> int:
        turns = up(up(images, stack) // stack, THREADS) // THREADS
        full, rest = divmod(stack * squares, SQUARES)
        return turns * (full * SQUARES + up(rest, height_width(sums_shape(2 * LANES))[0]))

    return min(range(1, max(1, min(images, 2 * SQUARES // squares)) + 1), key=rows)


@inner
def places(work, cut):
    """A thread's bordered images, V, M and room."""
    return work, work[cut.v :], work[cut.m :], work[cut.room :]


@inner
def clear_borders(work, cut):
    """What lies around the images stays zero from here on."""
    for worker in range(len(work)):
        clear(work[worker, : cut.v])


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
def place_of(square, cut):
    """Image, line and column of a square."""
    n, rest = divmod(square, cut.down * cut.right)
    i, j = divmod(rest, cut.right)
    return n, i, j
