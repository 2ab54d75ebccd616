"""Arrays whose memory is used again once nobody holds them.

A training step makes the same large arrays every time. Fresh memory costs a page fault every 4 KiB and
is cold in the cache, so `empty` hands out pieces of slabs that it keeps. Slabs are long enough for pages of
2 MiB, which NumPy asks for (Linux): an array that has gone cold is read several times as fast from them, so
that weights, gradients and momentum lie here too.

A piece is free again when the array made on it is gone, which a weak reference to that tells: nobody has to
give it back. (Views hold the array.) A request takes the piece of its very size that came back last, which is
the warmest in the cache. Where there is none, free pieces side by side become one: memory of many small
arrays serves a large one, so that a backward pass, whose gradients grow as what was kept for it goes, needs
little more than the forward pass left.
"""

import math
import threading
import weakref
from ctypes import c_char
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

# Vector loads that straddle two cache lines take twice as long.
_ALIGNMENT = 64
# Of fewer numbers the C library hands out memory that it kept, and NumPy's own allocation is faster.
_FEW = 1 << 15
# Numbers on a cache line, how many are kept as scratch, 8 MiB, and how many ways of cutting it.
_LINE, _KEPT, _MOST = _ALIGNMENT // 4, 1 << 21, 1 << 10
# An array of scratch: how many float32, or a shape and a dtype.
Wanted = int | tuple[tuple[int, ...], type]
# A slab of which nothing was asked for in so many requests is let go when a new one must be made.
_PATIENCE = 1 << 12
# Bytes of the first slab; each further one is as large as all before. (Untouched, it takes no memory.) So
# much of a slab is cut before free pieces become one: a small network soon finds all its sizes.
_FIRST = 1 << 26


@dataclass(slots=True, eq=False)
class _Piece:
    """A range of a slab, from and to, and where it lies when it is free.

    memory : the slab's, which an array on the piece has for its base; were that an array, views would hold it
        and not the array on the piece
    lent : the weak reference to the array on it
    """

    start: int
    end: int
    memory: Any
    free: "list[_Piece]"
    lent: "_Lent | None" = None


class _Lent(weakref.ref[npt.NDArray[Any]]):
    """Tells when an array is gone, and which piece it lay on."""

    __slots__ = ("piece",)
    piece: _Piece


def _give_back(lent: _Lent) -> None:
    piece = lent.piece
    piece.lent = None
    # The one step that counts, whichever thread it is in: a piece in this list is free, any other is not.
    piece.free.append(piece)


class _Slab:
    """One long range of memory and its pieces in their order; by size, those that are free."""

    def __init__(self, size: int) -> None:
        self.size = size
        data: Any = np.empty(size + _ALIGNMENT, np.uint8)
        begin = -data.ctypes.data % _ALIGNMENT
        self.memory: Any = (c_char * size).from_buffer(data, begin)
        self.pieces: list[_Piece] = []
        self.free: dict[int, list[_Piece]] = {}
        self.last_used = 0

    def place(self, size: int) -> _Piece | None:
        """Free memory of that size, from now on a piece; None where there is none."""
        start, index = self.pieces[-1].end if self.pieces else 0, len(self.pieces)
        if start + size > min(_FIRST, self.size):
            start, index = self._make_room(size)
        if start + size > self.size:
            return None
        piece = _Piece(start, start + size, self.memory, self.free.setdefault(size, []))
        self.pieces.insert(index, piece)
        return piece

    def idle(self) -> bool:
        """Whether no array lives here."""
        return sum(map(len, self.free.values())) == len(self.pieces)

    def _make_room(self, size: int) -> tuple[int, int]:
        """The first range that is free and long enough, its place among the pieces; these are forgotten."""
        free = {piece for same in self.free.values() for piece in same}
        start = first = 0
        for i, piece in enumerate(self.pieces):
            if piece in free:
                continue
            if start + size <= piece.start:
                break
            start, first = piece.end, i + 1
        last = first
        if start + size <= self.size:
            while last < len(self.pieces) and self.pieces[last].start < start + size:
                self.pieces[last].free.remove(self.pieces[last])
                last += 1
            del self.pieces[first:last]
        return start, first


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
        with self.lock:
            piece = self._place(size)
        array = np.ndarray(shape, dtype, piece.memory, piece.start)
        piece.lent = lent = _Lent(array, _give_back)
        lent.piece = piece
        return array

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

    def _place(self, size: int) -> _Piece:
        self.requests += 1
        for slab in self.slabs:
            same = slab.free.get(size)
            if same:
                slab.last_used = self.requests
                return same.pop()
        for slab in self.slabs:
            piece = slab.place(size)
            if piece is not None:
                slab.last_used = self.requests
                return piece
        oldest = self.requests - _PATIENCE
        self.slabs = [slab for slab in self.slabs if slab.last_used > oldest or not slab.idle()]
        slab = _Slab(max(size, _FIRST, sum(slab.size for slab in self.slabs)))
        slab.last_used = self.requests
        self.created_bytes += slab.size
        self.slabs.append(slab)
        piece = slab.place(size)
        assert piece is not None
        return piece


_pool = Pool()
empty, zeros = _pool.empty, _pool.zeros


class _Scratch(threading.local):
    """One line of numbers for each Python thread, and the arrays that were cut from it."""

    line: npt.NDArray[np.float32] = np.empty(0, np.float32)

    def __init__(self) -> None:
        self.cut: dict[tuple[Wanted, ...], list[npt.NDArray[Any]]] = {}


_own = _Scratch()


def scratch(*wanted: Wanted) -> list[npt.NDArray[Any]]:
    """Arrays for the length of one kernel call, of arbitrary content, each on a cache line.

    They are the same memory every time, warm in the cache: the next call in this thread takes it over. What
    is too much to keep comes from `empty`.

    Parameters
    ----------
    wanted
        For each array how many float32 it has, or its shape and its dtype.
    """
    return _own.cut.get(wanted) or _cut(wanted)


def _cut(wanted: tuple[Wanted, ...]) -> list[npt.NDArray[Any]]:
    kinds = [(((one,), np.float32) if isinstance(one, int) else one) for one in wanted]
    sizes = [-(-math.prod(shape) * np.dtype(dtype).itemsize // _ALIGNMENT) * _LINE for shape, dtype in kinds]
    line, total = _own.line, sum(sizes)
    if line.size < total:
        line = empty((max(total, _FEW),))
    arrays, start = [], 0
    for (shape, dtype), size in zip(kinds, sizes, strict=True):
        arrays.append(np.ndarray(shape, dtype, line, 4 * start))
        start += size
    if total <= _KEPT:
        if line is not _own.line or len(_own.cut) == _MOST:
            _own.line, _own.cut = line, {}
        _own.cut[wanted] = arrays
    return arrays


def created_bytes() -> int:
    """Bytes of all slabs made so far in this process; stands still once every array finds free memory."""
    return _pool.created_bytes
