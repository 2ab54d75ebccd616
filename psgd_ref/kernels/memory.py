"""Arrays whose memory is used again once nobody holds them.

A training step makes the same large arrays every time. Fresh memory costs a page fault every 4 KiB and
is cold in the cache, so `empty` hands out views of buffers that it keeps. A buffer is free again when no
view of it is alive, which its reference count tells: nobody has to give it back.
"""

import math
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from sys import getrefcount
from typing import Any

import numpy as np
import numpy.typing as npt

# Vector loads that straddle two cache lines take twice as long.
_ALIGNMENT = 64
# Of fewer numbers the C library hands out memory that it kept, and NumPy's own allocation is faster.
_FEW = 1 << 15
# A buffer that was not asked for in so many requests is let go when a new one must be made.
_PATIENCE = 1 << 12


@dataclass
class _Buffer:
    data: npt.NDArray[np.uint8]
    last_used: int = 0
    start: int = 0  # of its first cache line


@dataclass
class Pool:
    """Buffers by size class. Thread-safe."""

    buffers: dict[int, list[_Buffer]] = field(default_factory=dict)
    requests: int = 0
    created_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        """An array of arbitrary content, C-contiguous; large ones start on a cache line.

        shape : sizes; dtype : any. As `numpy.empty`, only faster the second time.
        """
        size = _size_class(shape, dtype)
        if size == 0:
            return np.empty(shape, dtype)
        # The view must exist before the lock is released: it is what marks the buffer as taken.
        with self.lock:
            self.requests += 1
            for buffer in self.buffers.get(size, ()):
                if getrefcount(buffer.data) == _IDLE:
                    break
            else:
                buffer = self._new_buffer(size)
            buffer.last_used = self.requests
            return np.ndarray(shape, dtype, buffer.data, buffer.start)

    def zeros(self, shape: tuple[int, ...]) -> Any:
        """As `empty`, float32 zeros."""
        if math.prod(shape) < _FEW:
            return np.zeros(shape, np.float32)
        result = self.empty(shape)
        result.fill(0)
        return result

    def clear(self) -> None:
        """Forget every buffer; memory in use lives on until its last view dies."""
        with self.lock:
            self.buffers.clear()

    def _new_buffer(self, size: int) -> _Buffer:
        self._let_go()
        data = np.empty(size + _ALIGNMENT, np.uint8)
        made = _Buffer(data, start=-data.ctypes.data % _ALIGNMENT)
        self.created_bytes += size
        self.buffers.setdefault(size, []).append(made)
        return made

    def _let_go(self) -> None:
        oldest = self.requests - _PATIENCE
        for size, buffers in self.buffers.items():
            self.buffers[size] = [b for b in buffers if b.last_used > oldest or getrefcount(b.data) != _IDLE]


@lru_cache(maxsize=1024)
def _size_class(shape: tuple[int, ...], dtype: Any) -> int:
    """Bytes rounded up to an eighth of their power of two, so that nearly equal arrays share buffers.

    0 for an array of few numbers.
    """
    if math.prod(shape) < _FEW:
        return 0
    size: int = math.prod(shape) * np.dtype(dtype).itemsize
    step = max(1, (1 << (size - 1).bit_length()) >> 4)
    return -(-size // step) * step


def _idle_count() -> int:
    buffer = _Buffer(np.empty(1, np.uint8))
    return getrefcount(buffer.data)


# The count of a buffer without views; measured, because it differs between Python versions.
_IDLE = _idle_count()

_pool = Pool()
empty, zeros = _pool.empty, _pool.zeros


def created_bytes() -> int:
    """Bytes of all buffers made so far in this process; stands still once every array finds an old one."""
    return _pool.created_bytes
