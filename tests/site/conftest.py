"""The site's own modules, which are no part of the package."""

import importlib
import sys
from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "notebooks/site"


@pytest.fixture
def generate(monkeypatch):
    """Imports a module that makes pages, by name."""
    monkeypatch.syspath_prepend(str(SITE))
    yield lambda name: importlib.import_module(f"generate.{name}")
    for name in [name for name in sys.modules if name.partition(".")[0] == "generate"]:
        del sys.modules[name]
