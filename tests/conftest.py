"""Settings of the whole test run."""

import os
import sys

import pytest

# Tests already run on as many processes as there are cores: threads inside them would only wait.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PSGD_REF_AHEAD", "0")


def pytest_addoption(parser):
    """`--damaged-files N`: how many of tests/test_damaged_files.py."""
    parser.addoption(
        "--damaged-files", type=int, metavar="N", help="damaged files to try in all (default: few)"
    )


@pytest.fixture(autouse=True)
def _close_figures():
    """Pictures that a test leaves open would add up, and matplotlib warns of more than twenty."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
