"""Where a convolution reads and writes: worked out once for images and weights of one shape.

An image is copied into a scratch with a zero border (`borders.py`). There a pixel is one offset, and the
products that it sums lie at fixed distances from it, `products`. Where a whole line of them would lie in
the border, they are zero and are left out: `spans` says so for each tile of pixels, `bands` for each row
of the weights.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from psgd_ref.kernels.blocks import height_width, row_shape, sums_shape, sums_shapes, up
from psgd_ref.kernels.parallel import THREADS
from psgd_ref.kernels.reference import Indices, Pair
from psgd_ref.kernels.tile import Shape

# How much longer a product takes in a tile that is not the tallest: fewer sums hide the delay of one less.
_SHORT = 1.25
# A multiple of the height of every tile for sums.
_REPEATS = 24


@dataclass(frozen=True, eq=False)
class Plan:
    """A correlation of images of one size.

    Parameters
    ----------
    result
        Shape of the result.
    images
        How many, lines of an image and numbers in a line, numbers in an image of the result.
    border
        Size of a bordered image, length of its lines, offset of the image in it.
    reads, writes
        Offset of every pixel in a bordered image and in an image of the result.
    products
        Offset of every number (i, j, c) that a pixel reads, from its first.
    spans
        For every tile of pixels the first of its products and the one behind the last.
    bands
        For every row of W the first pixel that has products with it and the one behind the last.
    starts
        Offset of the first read and of the first write.
    weights
        Where W lies, the offset of the first weight and the distance to the next along i, j, c, o.
    taps
        Rows, columns, inputs, outputs of W.
    together
        How many pixels, side by side, are summed as one with so many times the outputs, and how many columns
        the next of them is to the right.
    tile, row
        The tile of sums, and one row of it.
    room
        How many numbers packed biases and weights and an image of each thread take.
    """

    result: tuple[int, ...]
    images: tuple[int, int, int, int]
    border: tuple[int, int, int]
    reads: Indices
    writes: Indices
    products: Indices
    spans: Indices
    bands: Indices
    starts: Pair
    weights: tuple[int, int, int, int, int]
    taps: tuple[int, int, int, int]
    together: Pair
    tile: Shape
    row: Shape
    room: int


@dataclass(frozen=True)
class _Lines:
    """Along the height: pixel h meets with row i of W line `first + step·h + i` of a bordered image.

    Lines top … top + count − 1 are the image's.
    """

    first: int
    step: int
    top: int
    count: int

    def rows(self, h: int, last: int, rows: int) -> Pair:
        """The rows of W that meet the image for some of the pixels h … last: from, to."""
        low = max(0, self.top - self.first - self.step * last)
        high = min(rows, self.top + self.count - self.first - self.step * h)
        return (low, high) if low < high else (0, 0)

    def pixels(self, i: int, height: int) -> Pair:
        """The pixels h < height that meet the image with row i of W: from, to."""
        low = max(0, -((self.first + i - self.top) // self.step))
        high = min(height, (self.top + self.count - 1 - self.first - i) // self.step + 1)
        return (low, high) if low < high else (0, 0)


@lru_cache(maxsize=1024)
def forward_plan(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair, join: bool = True
) -> Plan:
    """The convolution of images (N, H, W, C); join : whether pixels may be summed together."""
    (images, height, width, inputs), (rows, columns, _, outputs) = x_shape, w_shape
    bordered = (height + 2 * padding[0], width + 2 * padding[1])
    size = ((bordered[0] - rows) // stride[0] + 1, (bordered[1] - columns) // stride[1] + 1)
    line = bordered[1] * inputs
    return _plan(
        (images, *size, outputs),
        (images, height, width * inputs, size[0] * size[1] * outputs),
        (bordered[0] * line, line, padding[0] * line + padding[1] * inputs),
        size,
        (stride[0] * line, stride[1] * inputs),
        (size[1] * outputs, outputs),
        (0, 0),
        (0, columns * inputs * outputs, inputs * outputs, outputs, 1),
        (rows, columns, inputs, outputs),
        _Lines(0, stride[0], padding[0], height),
        join,
    )


@lru_cache(maxsize=1024)
def input_plans(
    x_shape: tuple[int, ...], dy_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Pair, padding: Pair
) -> list[Plan]:
    """The convolutions of dy that make up dx, one for each first row and column of W."""
    (images, *image, inputs), (_, *out, outputs) = x_shape, dy_shape
    height, width = image
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
            plan = _plan(
                x_shape,
                (images, out[0], out[1] * outputs, height * width * inputs),
                (lines * line, line, before[0] * line + before[1] * outputs),
                size,
                (line, outputs),
                (stride[0] * width * inputs, stride[1] * inputs),
                (corner[0] * line + corner[1] * outputs, (u * width + v) * inputs),
                ((i * w_shape[1] + j) * tap, -stride[0] * w_shape[1] * tap, -stride[1] * tap, 1, outputs),
                (taps[0], taps[1], outputs, inputs),
                _Lines(corner[0], 1, before[0], out[0]),
            )
            plans.append(plan)
    return plans


def _plan(
    result: tuple[int, ...],
    images: tuple[int, int, int, int],
    border: tuple[int, int, int],
    size: Pair,
    read: Pair,
    write: Pair,
    starts: Pair,
    weights: tuple[int, int, int, int, int],
    taps: tuple[int, int, int, int],
    lines: _Lines,
    join: bool = True,
) -> Plan:
    """The plan for `size` pixels, the next down and right at the distances `read` and `write`."""
    rows, columns, inputs, outputs = taps
    step = read[1] // inputs
    joined = _joined(size, columns, step, outputs) if join and write[1] == outputs else 1
    size, read, write = (
        (size[0], size[1] // joined),
        (read[0], joined * read[1]),
        (write[0], joined * write[1]),
    )
    run = (columns + (joined - 1) * step) * inputs
    tile, spans = _best_tile(joined * outputs, size, rows, run, lines)
    _, block = height_width(tile)
    return Plan(
        result,
        images,
        border,
        _pixels(size, *read),
        _pixels(size, *write),
        np.add.outer(np.arange(rows) * border[1], np.arange(run)).ravel(),
        spans,
        np.array([lines.pixels(i, size[0]) for i in range(rows)], np.intp).reshape(-1, 2) * size[1],
        starts,
        weights,
        taps,
        (joined, step),
        tile,
        row_shape(joined * outputs),
        (1 + rows * run) * up(joined * outputs, block) + THREADS * border[0],
    )


def _joined(size: Pair, columns: int, step: int, outputs: int) -> int:
    """How many pixels side by side are best summed as one.

    Few outputs leave most of a vector empty. Those of pixels side by side fill it: they read a window that
    is `step` columns wider for each of them, in which the weights outside a pixel's own window are zero.
    """
    tall, block = height_width(sums_shape(outputs))
    choices = [n for n in (1, 2, 4, 8) if n * outputs <= max(block, outputs) and size[1] % n == 0]
    return min(choices, key=lambda n: up(size[0] * size[1] // n, tall) * (columns + (n - 1) * step))


def _best_tile(outputs: int, size: Pair, rows: int, run: int, lines: _Lines) -> tuple[Shape, Indices]:
    """The tile that takes the least time over these pixels, and its spans."""
    cheapest, best = np.inf, None
    for tile in sums_shapes(outputs):
        tall, block = height_width(tile)
        pixels = size[0] * size[1]
        ends = [(first, min(first + tall, pixels) - 1) for first in range(0, pixels, tall)]
        spans = [lines.rows(first // size[1], last // size[1], rows) for first, last in ends]
        table = np.array(spans, np.intp).reshape(-1, 2) * run
        cost = tall * block * float((table[:, 1] - table[:, 0]).sum()) * (1 if best is None else _SHORT)
        if cost < cheapest:
            cheapest, best = cost, (tile, table)
    assert best is not None
    return best


def _pixels(size: Pair, down: int, right: int) -> Indices:
    """Offset of every pixel of an image, h·down + v·right, the last one repeated to fill any tile."""
    offsets = np.add.outer(np.arange(size[0]) * down, np.arange(size[1]) * right).ravel()
    return np.pad(offsets, (0, -len(offsets) % _REPEATS), mode="edge")
