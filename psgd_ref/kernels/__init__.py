"""The array work of the networks, behind one narrow interface.

Every array is checked for axes, shape and dtype before a kernel sees it (`checks.py`); wrong ones raise
ValueError. PSGD_REF_KERNELS chooses once, at import: `tile`, the compiled kernels, or `reference`, their
oracles in plain NumPy, which need no Numba. The compiled kernels know float32 only; anything else goes to
the oracles.

More than fifteen files in one folder, so that every kernel is beside `reference`, its formulas.
"""

import functools
import os
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy import ndarray  # looked up for every argument of every call

from psgd_ref.kernels import checks, reference
from psgd_ref.kernels.parts import Part, Parts
from psgd_ref.kernels.reference import After, Norm, NormGradient

P = ParamSpec("P")
R = TypeVar("R")


def _backend() -> str:
    chosen = os.environ.get("PSGD_REF_KERNELS", "tile")
    if chosen not in ("tile", "reference"):
        raise ValueError(f"PSGD_REF_KERNELS must be 'tile' or 'reference'; got {chosen!r}")
    if chosen == "reference":
        return chosen
    try:
        import numba
    except ModuleNotFoundError as error:
        # An error and no silent fall-back: the oracles take some hundred times as long.
        raise ModuleNotFoundError(
            f"compiled kernels need {error.name}, which is not installed here; PSGD_REF_KERNELS=reference "
            "runs everything on plain NumPy, slowly",
            name=error.name,
        ) from None
    # Without Numba's compiler the tile kernels cannot run at all.
    return "reference" if getattr(numba.config, "DISABLE_JIT", False) else chosen


BACKEND = _backend()


_FLOAT32 = np.dtype(np.float32)
# Arguments of these types hold no arrays.
_PLAIN = frozenset((type(None), bool, int, float, str))


def _other_floats(values: Iterable[Any]) -> bool:
    """Whether there are floats but float32 among arguments, also inside tuples."""
    for value in values:
        kind = type(value)
        if kind is ndarray:
            # Most arrays are float32, and comparing dtypes takes time: first whether it is the very same one.
            if value.dtype is not _FLOAT32 and value.dtype.kind == "f" and value.dtype != _FLOAT32:
                return True
        elif kind is tuple and value and type(value[0]) in _PLAIN:
            continue  # tuples hold arrays first, if any: most are pairs of whole numbers
        elif kind not in _PLAIN and _inside(value):
            return True
    return False


def _inside(value: Any) -> bool:
    if isinstance(value, ndarray):
        return _other_floats((value.view(ndarray),))
    return isinstance(value, tuple) and _other_floats(value)


if BACKEND == "tile":
    from psgd_ref.kernels.compile import CHECK
    from psgd_ref.kernels.parallel import launch
    from psgd_ref.kernels.tile import raise_faults


def _compiled() -> dict[str, Any]:
    """The modules of the compiled kernels by name. Named here one by one, for whoever reads imports."""
    from psgd_ref.kernels import (
        activation,
        channels,
        conv,
        fake_quantize,
        grouped,
        linear,
        loss,
        norm,
        norm_backward,
        pool,
        update,
    )

    modules = (
        *(activation, channels, conv, fake_quantize, grouped, linear, loss, norm, norm_backward),
        *(pool, update),
    )
    return {module.__name__.rpartition(".")[2]: module for module in modules}


# Before the faces, of which one has the name of a module.
_MODULES = _compiled() if BACKEND == "tile" else {}


def _face(oracle: Callable[P, R], module: str) -> Callable[P, R]:
    """The kernel that everybody calls, checked: compiled for float32 arguments, its oracle for the rest.

    module : where the compiled kernel is, under the oracle's name
    A compiled kernel that returns None leaves the work to the oracle.
    """
    name = oracle.__name__
    check: Callable[..., None] = getattr(checks, oracle.__name__)
    compiled = None
    if BACKEND == "tile":
        compiled = getattr(_MODULES[module], oracle.__name__)

    @functools.wraps(oracle)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        check(*args, **kwargs)
        if compiled is None or _other_floats((*args, *kwargs.values()) if kwargs else args):
            return oracle(*args, **kwargs)
        result: R | None = launch(compiled, name, args, kwargs)
        if CHECK:
            raise_faults(name)
        return oracle(*args, **kwargs) if result is None else result

    call.__module__ = __name__  # where pickle finds it
    return call


def normalises(x: Any, w: Any, stride: tuple[int, int], padding: tuple[int, int]) -> bool:
    """Whether `conv2d` of these arrays reads x through a `Norm` in no more time than without it.

    And whether `conv2d_backward` so reads dy through a `NormGradient`.
    """
    if BACKEND != "tile" or not isinstance(x, ndarray) or x.ndim != 4:
        return False
    if x.dtype != _FLOAT32 or w.dtype != _FLOAT32:
        return False
    pays: bool = _MODULES["conv"].winograd.pays(x.shape[1:], w.shape, stride, padding)
    return pays


avg_pool2d = _face(reference.avg_pool2d, "pool")
avg_pool2d_backward = _face(reference.avg_pool2d_backward, "pool")
batch_norm_backward = _face(reference.batch_norm_backward, "norm_backward")
batch_norm_eval = _face(reference.batch_norm_eval, "norm")
batch_norm_gradient = _face(reference.batch_norm_gradient, "norm_backward")
batch_norm_statistics = _face(reference.batch_norm_statistics, "norm")
batch_norm_train = _face(reference.batch_norm_train, "norm")
channel_sum = _face(reference.channel_sum, "channels")
conv2d = _face(reference.conv2d, "conv")
conv2d_backward = _face(reference.conv2d_backward, "conv")
cross_entropy = _face(reference.cross_entropy, "loss")
fake_quantize = _face(reference.fake_quantize, "fake_quantize")
fake_quantize_backward = _face(reference.fake_quantize_backward, "fake_quantize")
global_avg_pool = _face(reference.global_avg_pool, "pool")
global_avg_pool_backward = _face(reference.global_avg_pool_backward, "pool")
grouped_conv2d = _face(reference.grouped_conv2d, "grouped")
grouped_conv2d_backward = _face(reference.grouped_conv2d_backward, "grouped")
linear = _face(reference.linear, "linear")
linear_backward = _face(reference.linear_backward, "linear")
max_pool2d = _face(reference.max_pool2d, "pool")
max_pool2d_backward = _face(reference.max_pool2d_backward, "pool")
nested_round = _face(reference.nested_round, "fake_quantize")
nested_round_backward = _face(reference.nested_round_backward, "fake_quantize")
psgd_update = _face(reference.psgd_update, "update")
relu = _face(reference.relu, "activation")
relu_backward = _face(reference.relu_backward, "activation")
soft_round_backward = _face(reference.soft_round_backward, "fake_quantize")

__all__ = [
    "After",
    "Norm",
    "NormGradient",
    "Part",
    "Parts",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm_backward",
    "batch_norm_eval",
    "batch_norm_gradient",
    "batch_norm_statistics",
    "batch_norm_train",
    "channel_sum",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "fake_quantize",
    "fake_quantize_backward",
    "global_avg_pool",
    "global_avg_pool_backward",
    "grouped_conv2d",
    "grouped_conv2d_backward",
    "linear",
    "linear_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "nested_round",
    "nested_round_backward",
    "psgd_update",
    "relu",
    "relu_backward",
    "soft_round_backward",
]
