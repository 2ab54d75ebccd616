"""The option --psgd-subject, for pytest; it does nothing by itself and imports nothing."""

from typing import Any


def pytest_addoption(parser: Any) -> None:
    """Declare the option."""
    parser.getgroup("psgd_ref").addoption(
        "--psgd-subject",
        metavar="MODULE:NAME",
        help="what `pytest --pyargs psgd_ref.laws` holds to the laws",
    )
