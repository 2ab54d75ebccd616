"""Images inside a border of zeros, in scratch memory: every padding and every edge becomes the same case."""

from psgd_ref.kernels.blocks import ZERO
from psgd_ref.kernels.compile import inner


@inner
def clear(a):
    """a = 0, one line of numbers."""
    for i in range(len(a)):
        a[i] = ZERO


@inner
def copy(a, b):
    """b = a, for slices of one length.

    (Whole vectors are copied where the compiler sees that an index begins at 0. Of a computed index it must
    test every value: a negative one counts from the end.)
    """
    for i in range(len(a)):
        b[i] = a[i]


@inner
def insert(x, n, height, width, image, border):
    """Copy image n (lines of `width` numbers) inside the border, a line's length and the offset in it."""
    line, at = border
    for h in range(height):
        source, target = (n * height + h) * width, at + h * line
        copy(x[source : source + width], image[target : target + width])
