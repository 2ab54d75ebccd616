"""The examples in docstrings of the mathematics and the laws give what they show."""

import doctest
import importlib
import pkgutil

import pytest

import psgd_ref.core
import psgd_ref.laws

MODULES = [
    module.name
    for package in (psgd_ref.core, psgd_ref.laws)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("test_laws")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
