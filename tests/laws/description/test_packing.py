"""Codes come back from the form in which they are stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psgd_ref.laws.methods.packing import unpack

nibble_codes = st.lists(st.integers(-8, 7), min_size=1, max_size=9)


def _pack(codes, high_first):
    """By plain Python: two in a byte."""
    padded = [code & 15 for code in codes] + [0] * (len(codes) % 2)
    pairs = zip(padded[::2], padded[1::2], strict=True)
    return np.array([a << 4 | b if high_first else b << 4 | a for a, b in pairs], np.uint8)


@settings(max_examples=50, deadline=None)
@given(codes=nibble_codes, high_first=st.booleans(), signed=st.booleans())
def test_nibbles(codes, high_first, signed):
    packing = "nibbles_high_first" if high_first else "nibbles"
    found = unpack(_pack(codes, high_first), packing, (len(codes),), signed)
    assert found.tolist() == (codes if signed else [code & 15 for code in codes])


@settings(max_examples=50, deadline=None)
@given(
    codes=st.lists(st.integers(-4, 3), min_size=1, max_size=19), in_bytes=st.booleans(), signed=st.booleans()
)
def test_bit_planes(codes, in_bytes, signed):
    planes = [[code >> i & 1 for code in codes] for i in range(3)]
    if in_bytes:
        rows = [plane + [0] * (-len(codes) % 8) for plane in planes]
        planes = [
            [sum(bit << j for j, bit in enumerate(row[k : k + 8])) for k in range(0, len(row), 8)]
            for row in rows
        ]
    found = unpack(np.array(planes, np.uint8), "bit_planes", (len(codes),), signed)
    assert found.tolist() == (codes if signed else [code & 7 for code in codes])


@pytest.mark.parametrize(
    ("codes", "packing", "message"),
    [
        (np.zeros(2), "none", "codes must be integers; it returned float64"),
        (np.zeros(2, np.int8), "none", "give codes in the shape of w"),
        (np.zeros(3, np.uint8), "nibbles", r"where packing 'nibbles' has \(2,\)"),
        (np.full((4, 3), 2, np.uint8), "bit_planes", "bit planes must hold 0 and 1"),
        (np.zeros(2, np.uint8), "zip", "packing must be one of none, nibbles"),
    ],
)
def test_other_codes_are_refused(codes, packing, message):
    with pytest.raises(ValueError, match=message):
        unpack(codes, packing, (3,), signed=True)
