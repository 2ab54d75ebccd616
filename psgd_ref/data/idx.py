"""The IDX format of MNIST: a magic number, the sizes, the bytes.

0 0 8 rank | rank sizes, 32 bits each, big-endian | product of the sizes unsigned bytes

Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits".
"""

import math

import numpy as np
import numpy.typing as npt

UNSIGNED_BYTE = 8


def parse_idx(content: bytes, rank: int, origin: str) -> npt.NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file of that rank.

    Parameters
    ----------
    content
        The bytes of the file.
    rank
        How many axes the array has.
    origin
        Name of the file for the message.

    Raises
    ------
    ValueError
        When magic number, rank or length are not those of such a file.
    """
    header = 4 + 4 * rank
    magic = bytes((0, 0, UNSIGNED_BYTE, rank))
    if content[:4] != magic:
        raise ValueError(
            f"{origin} is not an IDX file of {rank} axes of bytes: it begins with "
            f"{content[:4].hex(' ') or 'nothing'}; {magic.hex(' ')} is accepted"
        )
    sizes = [int.from_bytes(content[k : k + 4], "big") for k in range(4, header, 4)]
    expected = header + math.prod(sizes)
    if len(content) < header or len(content) != expected:
        raise ValueError(
            f"{origin} must be {expected} bytes long for sizes {tuple(sizes)}; it has {len(content)}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes)
