"""The array work of the networks, behind one narrow interface.

PSGD_REF_KERNELS chooses once, at import: `tile`, the compiled kernels, or `reference`, their oracles in
plain NumPy. The compiled kernels know float32 only; anything else goes to the oracles.
"""

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np
from numba.core import config

from psgd_ref.kernels import reference

P = ParamSpec("P")
R = TypeVar("R")


def _backend() -> str:
    chosen = os.environ.get("PSGD_REF_KERNELS", "tile")
    if chosen not in ("tile", "reference"):
        raise ValueError(f"PSGD_REF_KERNELS must be 'tile' or 'reference'; got {chosen!r}")
    # Without Numba's compiler the tile kernels cannot run at all.
    return "reference" if config.DISABLE_JIT else chosen


BACKEND = _backend()


def _choose(compiled: Callable[P, R], oracle: Callable[P, R]) -> Callable[P, R]:
    """The compiled kernel for float32 arguments, its oracle for the rest."""

    @functools.wraps(oracle)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for value in (*args, *kwargs.values()):
            if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype != np.float32:
                return oracle(*args, **kwargs)
        return compiled(*args, **kwargs)

    return call


avg_pool2d = reference.avg_pool2d
avg_pool2d_backward = reference.avg_pool2d_backward
batch_norm_backward = reference.batch_norm_backward
batch_norm_eval = reference.batch_norm_eval
batch_norm_train = reference.batch_norm_train
channel_sum = reference.channel_sum
conv2d = reference.conv2d
conv2d_backward = reference.conv2d_backward
global_avg_pool = reference.global_avg_pool
global_avg_pool_backward = reference.global_avg_pool_backward
linear = reference.linear
linear_backward = reference.linear_backward
max_pool2d = reference.max_pool2d
max_pool2d_backward = reference.max_pool2d_backward
relu = reference.relu
relu_backward = reference.relu_backward

if BACKEND == "tile":
    from psgd_ref.kernels import conv

    conv2d = _choose(conv.conv2d, reference.conv2d)
    conv2d_backward = _choose(conv.conv2d_backward, reference.conv2d_backward)

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm_backward",
    "batch_norm_eval",
    "batch_norm_train",
    "channel_sum",
    "conv2d",
    "conv2d_backward",
    "global_avg_pool",
    "global_avg_pool_backward",
    "linear",
    "linear_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "relu",
    "relu_backward",
]
