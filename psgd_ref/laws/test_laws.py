"""What `pytest --pyargs psgd_ref.laws --psgd-subject module:Name` collects, and nothing else does."""

from typing import Any

import pytest

from psgd_ref.laws.methods.foreign import load_subject
from psgd_ref.laws.parametrize import Law, parametrize_with_laws


def pytest_generate_tests(metafunc: Any) -> None:
    """One test a claim; no subject is an error, since nothing tested must not look like a pass."""
    address = metafunc.config.getoption("--psgd-subject", default=None)
    if address is None:
        raise pytest.UsageError("no subject: give --psgd-subject module:Name")
    try:
        mark = parametrize_with_laws([load_subject(address)])
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    metafunc.parametrize(*mark.args)


def test_law(law: Law) -> None:
    """The law of one claim."""
    law()
