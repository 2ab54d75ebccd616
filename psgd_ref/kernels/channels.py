"""Work per channel on arrays of rows (pixels) × channels: how they are cut, and sums over the rows. Float32.

Channels may be few, and 5 of them fill no vector register. So the per-channel numbers are repeated until
they make a `block` of about a thousand, and tiles (`tile.py`) go over blocks of whole rows: only the last
tile of a block is ragged.

Sums are taken by chunks of rows whose number depends on the size alone, in float32 within a block's place
and in float64 from there on. So bits do not depend on the number of threads.
"""

from functools import lru_cache

import numpy as np

from psgd_ref.core.arguments import Array
from psgd_ref.kernels import memory
from psgd_ref.kernels.blocks import FLAT, WIDE, flat, up
from psgd_ref.kernels.borders import clear, copy
from psgd_ref.kernels.compile import LANES, body, inner, kernel
from psgd_ref.kernels.parallel import THREADS, for_each
from psgd_ref.kernels.tile import (
    tile_add,
    tile_add_to_doubles,
    tile_columns,
    tile_load,
    tile_load_part,
    tile_store_part,
)

_BLOCK = 1024
# Blocks for numbers of each channel, repeated; every thread has two more.
_TABLES = 5

Sizes = tuple[int, int, int]


@lru_cache(maxsize=1024)
def _layout(size: int, channels: int) -> tuple[memory.Wanted, memory.Wanted, Sizes]:
    """The room for sums and for blocks; channels, elements of a block (whole rows) and of a chunk.

    A chunk is eight blocks, more where that makes over 64 chunks. Tiles write and read whole vectors, beyond
    the channels and beyond a block.
    """
    block = channels * max(1, _BLOCK // channels)
    chunk = block * max(8, -(-size // (64 * block)))
    sums = (-(-size // chunk), 2, up(channels, LANES))
    blocks = (_TABLES + 2 * THREADS, up(block, 2 * LANES) + LANES)
    return (sums, np.float64), (blocks, np.float32), (channels, block, chunk)


def room(x: Array) -> tuple[Array, Array, Sizes]:
    """Room for two sums a channel of every chunk and for all blocks, and the sizes."""
    sums, blocks, sizes = _layout(x.size, x.shape[-1])
    totals, work = memory.scratch(sums, blocks)
    return totals, work, sizes


def channel_sum(dy: Array, into: Array | None = None) -> Array:
    """As `reference.channel_sum`."""
    total = np.empty(dy.shape[-1], np.float32) if into is None else into
    _channel_sum(flat(dy), total, *room(dy))
    return total


@kernel
def _channel_sum(dy, total, sums, work, sizes):
    for_each(len(sums), dy.size, _plain_sums, (dy, sums, work, sizes))
    for c in range(len(total)):
        total[c] = channel_total(sums, 0, c)


@body
def _plain_sums(index, worker, x, sums, work, sizes):
    """Σ x over the rows of one chunk."""
    first, _ = thread_blocks(work, worker)
    channels, block, chunk = sizes
    begin, last = index * chunk, min(x.size, (index + 1) * chunk)
    filled = min(block, last - begin)
    clear(first[:filled])
    for start in range(begin, last, block):
        size = min(block, last - start)
        for i in range(0, size, tile_columns(WIDE)):
            left = size - i
            total = tile_add(tile_load(WIDE, first, i, 0), tile_load_part(WIDE, x, start + i, 0, left))
            tile_store_part(total, first, i, 0, left)
    fold(first, filled, channels, sums[index, 0])


@inner
def repeat(row, count):
    """Repeat the first `count` numbers of a row over the rest of it."""
    done = count
    while done < len(row):
        more = min(done, len(row) - done)
        copy(row[:more], row[done : done + more])
        done += more


@inner
def thread_blocks(work, worker):
    """The two blocks of a thread."""
    return work[_TABLES + 2 * worker], work[_TABLES + 2 * worker + 1]


@inner
def channel_total(sums, which, channel):
    """One channel's first or second sum over all chunks, in order."""
    total = 0.0
    for chunk in range(len(sums)):
        total += sums[chunk, which, channel]
    return total


@inner
def fold(places, size, channels, total):
    """total[c] = Σ of the first `size` places of channel c, in float64."""
    for c in range(len(total)):
        total[c] = 0
    for start in range(0, size, channels):
        for c in range(0, channels, tile_columns(FLAT)):
            tile_add_to_doubles(tile_load(FLAT, places, start + c, 0), total, c)
