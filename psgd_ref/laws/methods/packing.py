"""Integer codes as they are stored: one in a byte, two in a byte, or bit by bit."""

from typing import Any

import numpy as np
import numpy.typing as npt

from psgd_ref.laws.methods.calling import BadResultError

Codes = npt.NDArray[np.int64]

PACKINGS = ("none", "nibbles", "nibbles_high_first", "bit_planes")


def unpack(codes: npt.ArrayLike, packing: str, shape: tuple[int, ...], signed: bool) -> Codes:
    """The codes of weights, one integer each, from the form in which they are stored.

    Parameters
    ----------
    codes
        "none": integers in the shape of the weights. "nibbles": bytes with two codes of 4 bits, the first
        in the low half ("nibbles_high_first": in the high half), in the order of `w.ravel()`. "bit_planes":
        plane i has bit i of every code, lowest first: 0 and 1 in shape (bits, *shape), or bytes in shape
        (bits, ⌈size/8⌉) with the first weight in the lowest bit.
    packing
        One of `PACKINGS`.
    shape
        Of the weights.
    signed
        Whether packed codes are two's complement; codes in bytes have a sign by their dtype.

    Raises
    ------
    BadResultError
        When the codes are no integers, or not as many as the packing asks for.

    Examples
    --------
    >>> unpack(np.array([0x2F], np.uint8), "nibbles", (2,), signed=True)
    array([-1,  2])
    """
    stored, size = np.asarray(codes), int(np.prod(shape))
    if packing not in PACKINGS:
        raise BadResultError(f"packing must be one of {', '.join(PACKINGS)}; got {packing!r}")
    if stored.dtype.kind not in "iub":
        raise BadResultError(f"codes must be integers; it returned {stored.dtype}")
    if packing == "none":
        _expect(stored, shape, packing)
        return stored.astype(np.int64)
    if packing == "bit_planes":
        return _from_planes(stored, shape, size, signed)
    flat = stored.ravel().astype(np.int64) & 0xFF
    _expect(flat, (-(-size // 2),), packing)
    halves = [flat & 0xF, flat >> 4]
    pairs = np.stack(halves[::-1] if packing == "nibbles_high_first" else halves, axis=1)
    return _signed(pairs.ravel()[:size], 4, signed).reshape(shape)


def _from_planes(stored: npt.NDArray[Any], shape: tuple[int, ...], size: int, signed: bool) -> Codes:
    width = len(stored) if stored.ndim else 0
    if stored.shape[1:] != shape or width == 0:
        _expect(stored, (width, -(-size // 8)), "bit_planes")
        stored = np.unpackbits(stored.astype(np.uint8), axis=1, count=size, bitorder="little")
    planes = stored.reshape(width, size).astype(np.int64)
    if not np.isin(planes, (0, 1)).all():
        raise BadResultError("bit planes must hold 0 and 1")
    return _signed(np.asarray(2 ** np.arange(width) @ planes), width, signed).reshape(shape)


def _signed(codes: Codes, width: int, signed: bool) -> Codes:
    return codes - (codes >> (width - 1) << width) if signed else codes


def _expect(stored: npt.NDArray[Any], shape: tuple[int, ...], packing: str) -> None:
    if stored.shape != shape:
        raise BadResultError(
            f"it returned codes of shape {stored.shape} where packing {packing!r} has {shape}: give codes in "
            f"the shape of w, or say how they are packed, as in "
            '{"codes": …, "scale": …, "packing": "nibbles"}; '
            f"known are {', '.join(PACKINGS)}"
        )
