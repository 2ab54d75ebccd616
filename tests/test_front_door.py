"""`import psgd_ref as pr`: what it gives, how little it takes, and the examples in its docstrings."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import psgd_ref as pr

NAMES = (
    *("PSGD", "SGD", "Adam", "fit", "evaluate", "quantize", "prune", "MinMaxGrid", "MSEGrid"),
    *("load", "Dataset", "models", "check", "save", "load_model"),
)
IMPORT = """
import sys, time
begun = time.process_time()
import psgd_ref as pr
print(time.process_time() - begun, "numpy" in sys.modules, "numba" in sys.modules, "PSGD" in dir(pr))
"""


def test_the_import_takes_no_time_and_loads_neither_numpy_nor_numba():
    words = [sys.executable, "-c", IMPORT]
    said = [subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() for _ in "abc"]
    assert all(rest == ["False", "False", "True"] for _, *rest in said)
    assert min(float(seconds) for seconds, *_ in said) < 0.1


def test_every_name_is_there_and_listed():
    assert sorted(pr.__all__) == sorted(NAMES)
    assert set(NAMES) < set(dir(pr))
    for name in dir(pr):
        assert getattr(pr, name) is not None
    assert pr.PSGD is importlib.import_module("psgd_ref.training").PSGD
    with pytest.raises(AttributeError, match=r"psgd_ref has no SPGD; it has Adam, .*PSGD"):
        pr.SPGD  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_front_door_has_an_example(name):
    assert doctest.DocTestFinder(recurse=False).find(getattr(pr, name))[0].examples


# Of packages that may not be installed.
OPTIONAL = ("psgd_ref.interop.torch", "psgd_ref.interop.runtimes.adapters.")


def modules():
    for room in ("compress", "data", "interop", "laws", "models", "nn", "training"):
        package = importlib.import_module(f"psgd_ref.{room}")
        yield package.__name__
        yield from (found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."))


def test_the_examples_in_docstrings_are_right():
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner(verbose=False)
    for name in modules():
        try:
            module = importlib.import_module(name)
        except ImportError:
            if name.startswith(OPTIONAL):
                continue  # what the tests do without
            raise
        for found in finder.find(module, module.__name__):
            runner.run(found)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries >= len(NAMES)
