"""Integers of 2, 4 or 8 bits in as many bits, the first in the low bits of a byte, as ONNX packs them."""

from math import prod

import numpy as np
import numpy.typing as npt

WIDTHS = (2, 4, 8)


def container_bits(bits: int) -> int:
    """The narrowest of 2, 4 and 8 bits that holds codes of so many bits.

    Raises
    ------
    ValueError
        Above 8 bits.
    """
    for width in WIDTHS:
        if bits <= width:
            return width
    raise ValueError(f"codes of at most 8 bits can be packed; got {bits}")


def pack(codes: npt.NDArray[np.signedinteger], bits: int) -> npt.NDArray[np.uint8]:
    """Codes in two's complement, several to a byte; the last byte is filled with zeros.

    Parameters
    ----------
    codes
        Any shape.
    bits
        Of each code.

    Raises
    ------
    ValueError
        For codes that so many bits cannot hold.

    Examples
    --------
    >>> pack(np.array([1, -1, 7], np.int8), 4).tolist()
    [241, 7]
    """
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if codes.size and not low <= codes.min() <= codes.max() <= high:
        raise ValueError(f"codes must lie in {low}..{high} for {bits} bits; got {codes.min()}..{codes.max()}")
    each = 8 // bits
    flat = codes.ravel().astype(np.int64) & (2**bits - 1)
    padded = np.concatenate([flat, np.zeros(-flat.size % each, np.int64)]).reshape(-1, each)
    packed: npt.NDArray[np.uint8] = (padded << (bits * np.arange(each))).sum(axis=1).astype(np.uint8)
    return packed


def unpack(data: npt.NDArray[np.uint8], bits: int, shape: tuple[int, ...]) -> npt.NDArray[np.int8]:
    """The codes that `pack` put into the bytes.

    Parameters
    ----------
    data
        The bytes.
    bits
        Of each code.
    shape
        Of the codes.

    Raises
    ------
    ValueError
        When there are too few or too many bytes.

    Examples
    --------
    >>> unpack(np.array([241, 7], np.uint8), 4, (3,)).tolist()
    [1, -1, 7]
    """
    count, each = prod(shape), 8 // bits
    if data.size != -(-count // each):
        raise ValueError(f"{count} codes of {bits} bits take {-(-count // each)} bytes; got {data.size}")
    fields = (data[:, None].astype(np.int64) >> (bits * np.arange(each))) & (2**bits - 1)
    flat = fields.ravel()[:count]
    codes: npt.NDArray[np.int8] = np.where(flat >= 2 ** (bits - 1), flat - 2**bits, flat).astype(np.int8)
    return codes.reshape(shape)
