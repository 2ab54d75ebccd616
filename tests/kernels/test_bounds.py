"""PSGD_REF_CHECK=1 sees every access outside an array: of compiled Python, of tiles, and in bodies of loops.

`make test-bounds` runs the kernels' tests in that mode. It sees an access beyond the array that the access
names; not one that lands in the wrong place of the right array, nor what NumPy does by itself. Here kernels
are called behind the face, which would refuse these arrays.
"""

import pytest

from psgd_ref.kernels import BACKEND
from tests.kernels.processes import run_python

pytestmark = pytest.mark.skipif(BACKEND != "tile", reason="about the compiled kernels")

CODE = """
import sys
import numpy as np
from psgd_ref.kernels import tile
import psgd_ref.kernels.{module}
module = sys.modules["psgd_ref.kernels.{module}"]  # some functions have their module's name
from psgd_ref.kernels.parallel import start_threads
start_threads()
def a(*shape):
    return np.ones(shape, np.float32)
def count(*args):
    try:
        module.{name}(*args)
    except IndexError:
        return 1
    finally:
        found, tile.FAULTS.value = tile.FAULTS.value, 0
    return found
print([count(*args) > 0 for args in ({good}, {bad})])
"""

CASES = {
    "a residual that is too short, read as a tile": (
        "norm",
        "batch_norm_eval",
        "(a(9, 8), a(8), a(8), a(8), a(8), 1e-5, a(9, 8), False)",
        "(a(9, 8), a(8), a(8), a(8), a(8), 1e-5, a(5, 8), False)",
    ),
    "an output that is too short, read in the body of a loop": (
        "activation", "relu_backward", "(a(9), a(9))", "(a(9), a(4))"
    ),
    "weights that are too few, read as factors of a tile": (
        "linear", "linear", "(a(9, 8), a(8, 4), a(4))", "(a(9, 8), a(8, 4)[:5], a(4))"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_accesses_outside_are_counted(case):
    module, name, good, bad = CASES[case]
    code = CODE.format(module=module, name=name, good=good, bad=bad)
    assert run_python(code, PSGD_REF_CHECK=1).stdout == "[False, True]\n"


def test_other_values_are_refused():
    code = """
try:
    import psgd_ref.kernels
except ValueError as error:
    print(error)
"""
    assert run_python(code, PSGD_REF_CHECK="yes").stdout == "PSGD_REF_CHECK must be 0 or 1; got 'yes'\n"
