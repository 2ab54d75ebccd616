"""Arrays whose memory is used again once nobody holds them.

A training step makes the same large arrays every time. Fresh memory costs a page fault every 4 KiB and
is cold in the cache, so `empty` hands out pieces of slabs that it keeps. Slabs are long enough for pages of
2 MiB, which NumPy asks for (Linux): an array that has gone cold is read several times as fast from them, so
that weights, gradients and momentum lie here too.

A piece is free again when no array on it is alive, which its reference count tells: nobody has to give it
back. A request takes a free piece of its very size, if there is one. Else free pieces side by side become
one: memory of many small arrays serves a large one, so that a backward pass, whose gradients grow as what was
kept for it goes, needs little more than the forward pass left.
"""

import math
import threading
from ctypes import c_char
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from sys import getrefcount
from typing import Any

import numpy as np
import numpy.typing as npt

# Vector loads that straddle two cache lines take twice as long.
_ALIGNMENT = 64
# Of fewer numbers the C library hands out memory that it kept, and NumPy's own allocation is faster.
_FEW = 1 << 15
# Numbers on a cache line, and how many are kept as scratch, 8 MiB.
_LINE, _KEPT = _ALIGNMENT // 4, 1 << 21
# A slab of which nothing was asked for in so many requests is let go when a new one must be made.
_PATIENCE = 1 << 12
# Bytes of the first slab; each further one is as large as all before. (Untouched, it takes no memory.) So
# much of a slab is cut before free pieces become one: a small network soon finds all its sizes.
_FIRST = 1 << 24


# A range of a slab, from and to, and a ctypes array on it, which the NumPy arrays there hold and nobody else
# does. (NumPy would see through a memoryview to the slab.)
_Piece = tuple[int, int, Any]


@lru_cache(maxsize=1024)
def _bytes(size: int) -> Any:
    """The type of so many bytes; making one takes longer than all else here."""
    return c_char * size


_memory = itemgetter(2)


def _counts(pieces: list[_Piece]) -> "map[int]":
    """How many hold the memory of each piece."""
    return map(getrefcount, map(_memory, pieces))


class _Slab:
    """One long range of memory and its pieces in their order; by size, the memory of those of one size."""

    def __init__(self, size: int) -> None:
        self.size = size
        data = np.empty(size + _ALIGNMENT, np.uint8)
        begin = -data.ctypes.data % _ALIGNMENT
        self.data: Any = data[begin : begin + size]
        self.pieces: list[_Piece] = []
        self.by_size: dict[int, list[Any]] = {}
        self.last_used = 0

    def reuse(self, size: int) -> Any:
        """A free piece of exactly that size; None where there is none."""
        same = self.by_size.get(size, ())
        counts = list(map(getrefcount, same))
        return same[counts.index(_IDLE)] if _IDLE in counts else None

    def place(self, size: int) -> Any:
        """The first free memory of that size, from now on a piece; None where there is none."""
        start, index = self.pieces[-1][1] if self.pieces else 0, len(self.pieces)
        if start + size > _FIRST:
            start, index = self._first_free(size)
        if start + size > self.size:
            return None
        memory = _bytes(size).from_buffer(self.data, start)
        self.pieces.insert(index, (start, start + size, memory))
        self.by_size.setdefault(size, []).append(memory)
        return memory

    def used(self) -> list[_Piece]:
        """The pieces on which arrays live."""
        return [
            piece for piece, count in zip(self.pieces, _counts(self.pieces), strict=True) if count != _IDLE
        ]

    def _first_free(self, size: int) -> tuple[int, int]:
        """Where that much is free, and before which piece, once those without arrays are forgotten."""
        self.pieces, self.by_size = self.used(), {}
        for begin, end, memory in self.pieces:
            self.by_size.setdefault(end - begin, []).append(memory)
        start = 0
        for i, (begin, end, _) in enumerate(self.pieces):
            if start + size <= begin:
                return start, i
            start = end
        return start, len(self.pieces)


@dataclass
class Pool:
    """Slabs of memory. Thread-safe."""

    slabs: list[_Slab] = field(default_factory=list)
    requests: int = 0
    created_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> npt.NDArray[Any]:
        """An array of arbitrary content, C-contiguous; large ones start on a cache line.

        As `numpy.empty`, only faster the second time.

        Parameters
        ----------
        shape
            Sizes.
        dtype
            Any.
        """
        count = math.prod(shape)
        if count < _FEW:
            return np.empty(shape, dtype)
        size = -(-count * np.dtype(dtype).itemsize // _ALIGNMENT) * _ALIGNMENT
        # The array must exist before the lock is released: it is what marks the piece as taken.
        with self.lock:
            self.requests += 1
            return np.ndarray(shape, dtype, self._place(size))

    def zeros(self, shape: tuple[int, ...], dtype: Any = np.float32) -> npt.NDArray[Any]:
        """As `empty`, zeros."""
        if math.prod(shape) < _FEW:
            return np.zeros(shape, dtype)
        result = self.empty(shape, dtype)
        result.fill(0)
        return result

    def clear(self) -> None:
        """Forget every slab; memory in use lives on until its last array dies."""
        with self.lock:
            self.slabs.clear()

    def _place(self, size: int) -> Any:
        for find in (_Slab.reuse, _Slab.place):
            for slab in self.slabs:
                memory = find(slab, size)
                if memory is not None:
                    slab.last_used = self.requests
                    return memory
        oldest = self.requests - _PATIENCE
        self.slabs = [slab for slab in self.slabs if slab.last_used > oldest or slab.used()]
        slab = _Slab(max(size, _FIRST, sum(slab.size for slab in self.slabs)))
        slab.last_used = self.requests
        self.created_bytes += slab.size
        self.slabs.append(slab)
        memory = slab.place(size)
        assert memory is not None
        return memory


def _count_without_arrays() -> int:
    slab = _Slab(_ALIGNMENT)
    slab.place(_ALIGNMENT)
    return next(_counts(slab.pieces))


# The count of a piece without arrays; measured, because it differs between Python versions.
_IDLE = _count_without_arrays()

_pool = Pool()
empty, zeros = _pool.empty, _pool.zeros


class _Scratch(threading.local):
    """One line of numbers for each Python thread."""

    line: npt.NDArray[np.float32] = np.empty(0, np.float32)


_own = _Scratch()


def scratch(*counts: int) -> list[npt.NDArray[np.float32]]:
    """Lines of float32 for the length of one kernel call, of arbitrary content, each on a cache line.

    They are the same memory every time, warm in the cache: the next call in this thread takes it over. What
    is too much to keep comes from `empty`.

    Parameters
    ----------
    counts
        How many numbers each line has.
    """
    starts, total = [], 0
    for count in counts:
        starts.append(total)
        total += -(-count // _LINE) * _LINE
    line = _own.line
    if line.size < total:
        line = empty((max(total, _FEW),))
        if total <= _KEPT:
            _own.line = line
    return [line[start : start + count] for start, count in zip(starts, counts, strict=True)]


def created_bytes() -> int:
    """Bytes of all slabs made so far in this process; stands still once every array finds free memory."""
    return _pool.created_bytes
