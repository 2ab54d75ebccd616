"""Whether an array holds neither NaN nor infinity; float32.

A float is not finite where all bits of its exponent are set, so that without its sign bit it is, as a whole
number, at least that of infinity. Largest whole numbers are found a vector at a time.
"""

import numpy as np

from psgd_ref.kernels.compile import inner

_MAGNITUDE, _INFINITY = np.int32(0x7FFFFFFF), np.int32(0x7F800000)


@inner
def all_finite(a):
    """Whether all numbers of a line are."""
    bits, largest = a.view(np.int32), np.int32(0)
    for i in range(bits.size):
        largest = max(largest, np.int32(bits[i] & _MAGNITUDE))
    return largest < _INFINITY
