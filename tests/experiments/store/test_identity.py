"""The identity of a result: equal for equal configurations alone, in every process."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psgd_ref import __version__
from psgd_ref.experiments.store import identity as module
from psgd_ref.experiments.store.identity import canonical, code_version

# A small one: what it reaches is read once.
ENTRY = "psgd_ref.core.steps"
code_version(ENTRY)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
configurations = st.dictionaries(st.text(), plain, max_size=4)


def identity(configuration):
    return module.identity(configuration, ENTRY)


def tagged(value):
    """The value as text that tells true from 1 and nothing else that is equal apart."""
    match value:
        case bool() | None | str():
            return repr(value)
        case int() | float():
            return f"number {value + 0:.0f}" if value == int(value) else repr(float(value))
        case list():
            return [tagged(part) for part in value]
    return {key: tagged(part) for key, part in value.items()}


@given(configurations, configurations)
def test_identities_agree_exactly_where_configurations_do(one, other):
    assert (identity(one) == identity(other)) == (tagged(one) == tagged(other))


@given(configurations)
def test_order_and_kind_of_sequence_make_no_difference(configuration):
    turned = dict(reversed(configuration.items()))
    turned = {k: tuple(v) if isinstance(v, list) else v for k, v in turned.items()}
    assert identity(turned) == identity(configuration)


def test_whole_numbers_compare_as_numbers_but_not_as_truth_values():
    assert canonical({"b": 1.0, "a": (0.5, -0.0, "ε")}) == '{"a":[0.5,0,"ε"],"b":1}'
    assert identity({"a": 1}) == identity({"a": 1.0}) != identity({"a": True})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {"x"}, b"x", object()])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(ValueError, match="a configuration holds texts"):
        identity({"inside": [value]})


def test_another_process_finds_the_same():
    code = (
        "from psgd_ref.experiments.store.identity import identity; "
        f"print(identity({{'a': [1, 'ä'], 'b': 0.1}}, {ENTRY!r}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == identity({"b": 0.1, "a": (1.0, "ä")})


def test_the_code_version_has_the_packages_and_depends_on_the_entry():
    assert code_version(ENTRY).startswith(f"{__version__}+")
    assert code_version(ENTRY) != code_version("psgd_ref.core.scale")
    configuration = {"a": 1}
    assert module.identity(configuration, ENTRY) != module.identity(configuration, "psgd_ref.core.scale")
