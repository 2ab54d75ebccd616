"""How kernels are compiled: at which level, and without being in the way of others."""

from types import SimpleNamespace

import numba
import pytest

from psgd_ref.kernels import compile as compiling

LEVELS = {"kernel": 1, "loop_kernel": 3}


@pytest.mark.parametrize("name", LEVELS)
def test_tiles_need_less_optimisation_than_loops(name, monkeypatch):
    monkeypatch.delenv("NUMBA_OPT", raising=False)
    before, seen = numba.config.OPT, []

    class Dispatcher:
        def compile(self, signature):
            seen.append((signature, int(numba.config.OPT)))

    def njit(function, **options):
        return Dispatcher()

    monkeypatch.setattr(numba, "njit", njit)
    monkeypatch.setattr(compiling, "CACHE", None)
    dispatcher = getattr(compiling, name)(lambda: None)
    dispatcher.compile("first")
    monkeypatch.setenv("NUMBA_OPT", "2")
    dispatcher.compile("second")  # at the level that was asked for, here the one of this process
    assert seen == [("first", LEVELS[name]), ("second", int(before))]
    assert numba.config.OPT is before


def test_the_level_is_as_before_after_an_error(monkeypatch):
    monkeypatch.delenv("NUMBA_OPT", raising=False)
    before = numba.config.OPT

    def fail(signature):
        raise ValueError(signature)

    with pytest.raises(ValueError, match="signature"):
        compiling._optimising(fail, 1)("signature")
    assert numba.config.OPT is before


def test_functions_of_others_may_have_no_module():
    found = {}
    exec("def twice(x): return 2 * x", found)
    assert found["twice"].__module__ is None
    announcer = compiling._Announcer()
    announcer.on_start(SimpleNamespace(data={"dispatcher": numba.njit(found["twice"])}))
    assert not announcer.said
