"""Precisions: written and read back, and what a user may give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psgd_ref.experiments.shared.precision import FULL, MIXED, Precision, parse_precision

bits = st.integers(1, 32)
# 32 bits of activations are written as none.
precisions = st.just(FULL) | st.just(MIXED) | st.builds(Precision, bits, st.none() | st.integers(1, 31))


@given(precisions)
def test_what_is_written_is_read_back(precision):
    assert Precision.read(str(precision)) == Precision.read(precision.label) == precision


@pytest.mark.parametrize(
    ("text", "precision"),
    [("W3A8", Precision(3, 8)), ("w3", Precision(3)), ("3", Precision(3)), ("W4A32", Precision(4))],
)
def test_precisions_are_parsed(text, precision):
    assert parse_precision(text) == precision


@pytest.mark.parametrize("text", ["", "W", "A8", "3.5", "full", "mixed", "W1", "W9", "W4A1", "W4A9", "-3"])
def test_what_nobody_can_quantize_to_is_refused(text):
    with pytest.raises(ValueError, match="bits"):
        parse_precision(text)
