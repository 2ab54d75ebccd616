"""What `describe` says of quantizers whose behaviour is known."""

import functools
import json

import numpy as np
import pytest

from psgd_ref.compress import MinMaxGrid, MSEGrid
from psgd_ref.laws import describe as describe_afresh
from psgd_ref.laws.description.properties import TESTS
from tests.laws import methods
from tests.laws.description import quantizers as q

MAX, HALF, TWO = "max|w|/(2^(b-1)-1)", "max|w|/(2^(b-1)-1/2)", "max|w|/2^(b-1)"
WITH_ZERO, RANGE = "(max(w,0)-min(w,0))/(2^b-1)", "(max(w)-min(w))/(2^b-1)"
POWER = "2^ceil(log2 max|w|)/2^(b-1)"
PROPERTIES = {*TESTS, "finite", "extremes steady"}

describe = functools.cache(describe_afresh)

# quantizer: scale rule, ties, levels used at 4 bits, properties that it has not.
KNOWN = {
    q.half_even: (MAX, "even", (-7, 7), set()),
    q.half_up: (MAX, "up", (-7, 7), {"odd"}),
    q.half_away: (MAX, "away from zero", (-7, 7), set()),
    q.floors: (MAX, "always down (floor)", (-7, 7), {"odd", "half step"}),
    q.truncates: (MAX, "always towards zero", None, {"half step"}),
    q.half_step_more: (HALF, "even", (-8, 7), {"idempotent", "odd", "extremes exact", "extremes steady"}),
    q.two_complement: (TWO, "even", (-8, 7), {"idempotent", "odd", "half step", "extremes exact"}),
    q.signed_scale: (TWO, "by the sign of the scale", None, {"order-free", "half step", "extremes exact"}),
    q.asymmetric: (
        WITH_ZERO,
        "even",
        (-8, 7),
        {"idempotent", "odd", "extremes exact", "extremes steady"},
    ),
    q.float_shift: (RANGE, None, (-7.5, 7.5), {"odd", "zero exact"}),
    q.codebook: ("codebook: largest level = 1 max|w|", "nearest of the codebook", (-1, 1), {"odd"}),
    q.power_of_two: (POWER, "even", (-7, 7), {"idempotent", "half step", "extremes exact"}),
    q.per_row: (MAX, "even", (-7, 7), set()),
    q.per_axis: (MAX, "even", (-7, 7), set()),
    q.in_groups: (MAX, "even", (-7, 7), set()),
    q.nibbles: (MAX, "even", (-7, 7), set()),
    q.bit_planes: (MAX, "even", (-7, 7), set()),
    q.on_targets: ("given", "even", (-7, 7), set()),
    q.with_scale: ("given", "even", (-7, 7), set()),
    MinMaxGrid: (MAX, "even", (-7, 7), set()),
    methods.Codes: ("given", "even", (-7, 7), set()),
}


@pytest.mark.parametrize("quantizer", KNOWN, ids=lambda quantizer: quantizer.__name__)
def test_what_is_known_is_found(quantizer):
    scale, ties, ends, lacks = KNOWN[quantizer]
    found = describe(quantizer)
    assert found.scale == scale
    assert ties in (None, found.tie_rule)
    assert ends in (None, (found.levels[0], found.levels[-1]))
    assert {f.name for f in found.findings} == PROPERTIES
    no = {f.name for f in found.findings if f.verdict == "no"} - {"finite"}
    if quantizer in (q.floors, q.truncates):  # what comes of a weight on a level, its last bit decides
        no &= {"odd", "half step"}
        lacks = lacks & {"odd", "half step"}
    assert no == lacks


@pytest.mark.parametrize(
    ("quantizer", "scale", "ties"),
    [
        (q.half_even, HALF, "even"),
        (q.half_up, MAX, "even"),
        (q.half_step_more, MAX, "even"),
        (q.codebook, MAX, "even"),
    ],
)
def test_a_wrong_expectation_is_told_apart(quantizer, scale, ties):
    found = describe(quantizer)
    assert (found.scale, found.tie_rule) != (scale, ties)


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize(
    ("quantizer", "scale"), [(q.half_even, MAX), (q.half_step_more, HALF), (q.two_complement, TWO)]
)
def test_rules_are_told_apart_at_other_bits_in_single_precision(quantizer, scale, bits):
    found = describe(quantizer, bits, "float32")
    assert found.scale == scale
    assert found.tie_rule == "even"
    assert (found["idempotent"].verdict == "no") == (scale != MAX)


def test_counterexamples_break_what_they_say():
    found = describe(q.half_step_more)
    finding = found["idempotent"]
    assert len(finding.w) == 1
    once = q.half_step_more(finding.w, 4)
    np.testing.assert_array_equal(finding.q, once)
    assert q.half_step_more(once, 4) != once


@pytest.mark.parametrize(
    ("quantizer", "error", "left"),
    [
        (q.half_even, 0.0, 15),
        (q.half_step_more, 7 / 15, 15),
        (q.two_complement, 7 / 8, 14),
        (q.float_shift, 7 / 15, 15),
        (MinMaxGrid, 0.0, 15),
    ],
)
def test_a_tensor_that_lies_on_the_grid(quantizer, error, left):
    found = describe(quantizer)
    assert found.grid_error == pytest.approx(error, abs=1e-12)
    assert found.grid_levels == left


def test_a_clipping_rule():
    found = describe(MSEGrid(4))
    assert found.scale == "least squared error"
    assert found.bits == 4
    assert found["half step"].verdict == "no"  # it clips
    assert found["extremes exact"].verdict == "no"
    assert found["odd"].verdict == "yes"


def test_the_mean_of_ternary_weights():
    found = describe(q.mean_based, dtype="float32")
    assert found.scale == "mean|w|"
    assert found.levels == (-1.0, 0.0, 1.0)
    assert found.tie_rule == "even"


def test_chance():
    found = describe(q.stochastic)
    assert found.tie_rule == "by chance"
    assert found["deterministic"].verdict == "no"
    assert describe(q.half_even)["deterministic"].verdict == "yes"


def test_a_range_that_overflows_in_single_precision():
    finding = describe(q.overflows, dtype="float32")["finite"]
    assert finding.verdict == "no"
    with np.errstate(all="ignore"):
        assert not np.isfinite(q.overflows(finding.w, 4)).all()
    assert describe(q.half_even, dtype="float32")["finite"].verdict == "yes"


@pytest.mark.parametrize(
    ("quantizer", "scope"),
    [
        (q.half_even, "tensor"),
        (q.per_row, "channel of axis 0"),
        (q.per_axis, "channel of axis 1"),
        (q.in_groups, "group of 64"),
        (q.with_scale, "given"),
    ],
)
def test_who_shares_a_scale(quantizer, scope):
    assert describe(quantizer).scope == scope


def test_special_tensors():
    special = describe(q.half_even).special
    assert special["constant"] == "stays as it is; stays as it is"
    assert special["NaN"] == "[1, nan, -0.5] becomes [nan, nan, nan]"
    assert describe(MinMaxGrid).special["infinity"] == "refused (ValueError)"


def test_a_record_is_json_and_the_same_again():
    first, second = describe(q.signed_scale), describe_afresh(q.signed_scale)
    record = first.as_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record == second.as_json()
    assert record["properties"]["order-free"]["counterexample"]["w"] == [1.0, -1.0]
    assert record != {**describe(q.two_complement).as_json(), "quantizer": "signed_scale"}


@pytest.mark.parametrize(
    ("thing", "options", "message"),
    [
        (3, {}, "int is no quantizer that is known: a quantizer is q"),
        (dict, {}, "dict is no quantizer that is known"),
        (q.bare_codes, {}, "integer codes need their scale, as"),
        (q.too_few_codes, {}, r"codes of shape \(3,\) where packing 'none' has"),
        (q.halves, {}, "it returned float16 for float64 weights"),
        (q.asks_for_more, {}, "asks for calibration, which is not known: a quantizer is"),
        (q.in_place, {}, "changes w in place"),
        (
            q.nibbles,
            {"bits": 8},
            "cannot be described at 8 bits in float64: NotImplementedError: other than 4",
        ),
        (MinMaxGrid(3), {"bits": 4}, "bits must be 3, which MinMaxGrid is fixed to; got 4"),
        (q.half_even, {"bits": 9}, "bits must be a whole number in 1..8; got 9"),
        (q.half_even, {"dtype": "float16"}, "dtype must be one of float64, float32"),
    ],
)
def test_what_cannot_be_described_is_refused(thing, options, message):
    with pytest.raises(ValueError, match=message):
        describe(thing, **options)


def test_an_unknown_property_is_refused():
    with pytest.raises(KeyError, match="no property 'even'; there are deterministic"):
        describe(q.half_even)["even"]
