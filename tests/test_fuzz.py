"""Drawn calls of the public functions: no crash, no hang, no foreign error, no silent NaN.

A few thousand in the suite. More with PSGD_REF_FUZZ=100000 (some three minutes), from another seed with
PSGD_REF_FUZZ_SEED=1:

    PSGD_REF_FUZZ=100000 pytest tests/test_fuzz.py -q

Each call takes good arguments and makes some of them strange: other values (zero, huge, NaN, infinite), other
shapes, dtypes and layouts in memory, and nonsense. It must come back within a minute and either give a result
or refuse in our words. From numbers that are finite and not huge no result may hold NaN.
"""

import faulthandler
import importlib
import inspect
import os
import pkgutil

import numpy as np
import pytest

from psgd_ref import core
from psgd_ref.core import FiniteTargets, UniformGrid, Warp, Zero, psgd_step
from psgd_ref.nn import functional
from tests.nn.test_array_arguments import CALLS, WRONG, own
from tests.own_words import refused

COUNT = int(os.environ.get("PSGD_REF_FUZZ", "3000"))
SEED = int(os.environ.get("PSGD_REF_FUZZ_SEED", "0"))
# Products of so large numbers stay finite in float32.
HUGE = 1e6
PART = 0.75
NONSENSE = [None, "no", b"", [], {}, object(), object, True, 10**400, 1j, np.array(1), np.zeros((1, 1, 1))]
NUMBERS = [
    0,
    1,
    2,
    -1,
    0.1,
    1.0,
    1e-3,
    1e-30,
    1e-320,
    1e30,
    1e308,
    np.float32(0.5),
    np.int64(3),
    np.nan,
    np.inf,
]


def core_functions():
    modules = [
        importlib.import_module(m.name) for m in pkgutil.walk_packages(core.__path__, "psgd_ref.core.")
    ]
    found = {}
    for module in modules:
        for name, function in vars(module).items():
            public = inspect.isfunction(function) and not name.startswith("_")
            ours = function.__module__ == module.__name__ != "psgd_ref.core.arguments" if public else False
            if ours and name not in TRUSTING:
                found[name] = function
    return found


# Helpers that are given what another function has checked.
TRUSTING = {"cell_length", "distance", "outer_reach", "adam_step"}
ARRAYS = {"w", "g", "t", "c", "to", "start", "offset", "scale", "product", "gradient", "shift", "velocity"}
MATRICES = {"hessian", "jacobian", "warped"}
POSITIVE = {
    "lr", "half", "eps", "strength", "gap", "steps", "smoothness", "largest_scale", "variance", "loss_gap",
    "pl", "curvature", "divergence", "time", "alpha", "power", "threshold", "target", "weight_decay",
    "slope", "momentum", "steepest",
}  # fmt: skip


def targets(rng):
    kinds = [Zero(), UniformGrid(0.3, 3), UniformGrid(0.3), FiniteTargets(np.array([-1.0, 0.1, 2.0]))]
    return kinds[rng.integers(len(kinds))]


def good_argument(rng, name, size):
    """An argument that a function of the mathematics accepts, by its name."""
    if name in ARRAYS:
        return rng.standard_normal(size).astype(rng.choice(["f4", "f8"]))
    if name in MATRICES:
        return rng.standard_normal((size, size))
    if name in POSITIVE:
        return 1 if name == "steps" else float(rng.uniform(0.01, 1.5))
    if name == "warp":
        grid = targets(rng)
        return Warp(grid, float(rng.choice([0, 1e-3])), float(rng.uniform(0.1, 4)))
    if name in ("discretization", "discretisation"):
        return str(rng.choice(["psgd", "warp", "mirror"]))
    if name in ("targets", "value"):
        return targets(rng)
    if name == "order":
        return str(rng.choice(["before", "after"]))
    if name == "step":
        return psgd_step
    if name == "cap":
        return bool(rng.integers(2))
    raise AssertionError(f"the fuzz test does not know what to draw for {name!r}")


def strange(rng, value):
    """The argument made strange in one way or another."""
    if not isinstance(value, np.ndarray) or rng.random() < 0.1:
        pool = NUMBERS if rng.random() < 0.6 else NONSENSE
        return pool[rng.integers(len(pool))]
    way = rng.integers(7)
    if way == 0:
        return WRONG[str(rng.choice(list(WRONG)))](value)
    if way == 1 and value.dtype.kind == "f" and value.size:
        spoiled = value.copy()
        spoiled.flat[rng.integers(value.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e38, 1e-45, -0.0])
        return spoiled
    if way == 2:
        return np.zeros_like(value)
    if way == 3:
        return np.ascontiguousarray(value.T).T if rng.random() < 0.5 else value[::-1]
    if way == 4:
        shape = tuple(int(rng.integers(0, 4)) for _ in range(rng.integers(0, 6)))
        return rng.standard_normal(shape).astype(np.float32)
    if way == 5:
        return value.astype(str(rng.choice(["f2", "f8", ">f4", "g", "i4", "u1", "?", "O", "c8"])))
    # Not aligned in memory.
    shifted = np.frombuffer(b"\0" + value.tobytes(), np.uint8)[1:]
    return shifted.view(value.dtype).reshape(value.shape) if value.size else value


def tame(arguments):
    """Whether all numbers are finite and not huge, and no variance is negative or almost 0."""
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            if not np.isfinite(value).all() or (value.size and np.abs(value.astype(float)).max() > HUGE):
                return False
            if "var" in name and (value <= 0).any():
                return False
        if isinstance(value, int | float | np.number) and not 1e-6 < abs(value) < HUGE and value != 0:
            return False
    return True


def holds_nan(result):
    parts = result if isinstance(result, tuple) else (result,)
    numbers = (np.asarray(p) for p in parts if isinstance(p, np.ndarray | float | np.floating))
    return any(n.dtype.kind == "f" and np.isnan(n).any() for n in numbers)


def draw_call(rng, functions):
    if rng.random() < PART:
        call = list(CALLS)[rng.integers(len(CALLS))]
        arguments = own(CALLS[call])
    else:
        call = functions[str(rng.choice(list(functions)))]
        size = int(rng.integers(1, 5))
        names = [p.name for p in inspect.signature(call).parameters.values()]
        arguments = {name: good_argument(rng, name, size) for name in names}
    for name in arguments:
        # `Parts` and the scalars of the kernels' own face are made by this package alone.
        scalar = not isinstance(arguments[name], np.ndarray)
        ours = (call in CALLS and call.__module__ != functional.__name__ and scalar) or name == "step"
        if rng.random() < 0.25 and not ours:
            arguments[name] = strange(rng, arguments[name])
    return call, arguments


@pytest.mark.skipif(COUNT < 1, reason="PSGD_REF_FUZZ=0")
def test_drawn_calls():
    rng, functions, answered = np.random.default_rng(SEED), core_functions(), 0
    for index in range(COUNT):
        call, arguments = draw_call(rng, functions)
        is_tame = tame(arguments)
        faulthandler.dump_traceback_later(60, exit=True)
        try:
            with np.errstate(all="ignore"):
                result = refused(call, **own(arguments))
        except Exception as error:
            raise AssertionError(f"call {index}: {call.__qualname__}({arguments})") from error
        finally:
            faulthandler.cancel_dump_traceback_later()
        answered += result is not None
        assert not (is_tame and holds_nan(result)), (index, call, arguments)
    assert answered > COUNT / 4
