"""Whether an array holds neither NaN nor infinity; float32.

A float is not finite where all bits of its exponent are set, so that without its sign bit it is, as a whole
number, at least that of infinity. Largest whole numbers are found a vector at a time.
"""

from typing import Any

import numpy as np

from psgd_ref.kernels.compile import LANES, body, kernel
from psgd_ref.kernels.parallel import for_each

_CHUNK = 16384
_MAGNITUDE, _INFINITY = np.int32(0x7FFFFFFF), np.int32(0x7F800000)


def finite(result: Any) -> bool:
    """Whether a kernel's result, an array or a tuple of arrays and None, is finite everywhere."""
    if isinstance(result, tuple):
        return all(each is None or finite(each) for each in result)
    bits = result.reshape(-1).view(np.int32)
    peaks = np.empty(-(-bits.size // _CHUNK), np.int32)
    return bool(_largest(bits, peaks) < _INFINITY)


@kernel
def _largest(bits, peaks):
    # One instruction looks at a whole vector.
    for_each(len(peaks), bits.size // LANES, _largest_of_chunk, (bits, peaks))
    largest = np.int32(0)
    for peak in peaks:
        largest = max(largest, peak)
    return largest


@body
def _largest_of_chunk(index, worker, bits, peaks):
    piece, largest = bits[index * _CHUNK : (index + 1) * _CHUNK], np.int32(0)
    for i in range(piece.size):
        largest = max(largest, np.int32(piece[i] & _MAGNITUDE))
    peaks[index] = largest
