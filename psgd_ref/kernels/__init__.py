"""The array work of the networks, behind one narrow interface.

PSGD_REF_KERNELS chooses once, at import: `tile`, the compiled kernels, or `reference`, their oracles in
plain NumPy. The compiled kernels know float32 only; anything else goes to the oracles.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
from numpy import ndarray  # looked up for every argument of every call

from psgd_ref.kernels import reference
from psgd_ref.kernels.parts import Part, Parts

P = ParamSpec("P")
R = TypeVar("R")


def _backend() -> str:
    chosen = os.environ.get("PSGD_REF_KERNELS", "tile")
    if chosen not in ("tile", "reference"):
        raise ValueError(f"PSGD_REF_KERNELS must be 'tile' or 'reference'; got {chosen!r}")
    # Without Numba's compiler the tile kernels cannot run at all.
    return "reference" if getattr(numba.config, "DISABLE_JIT", False) else chosen


BACKEND = _backend()


_FLOAT32 = np.dtype(np.float32)


def _other_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f" and dtype != _FLOAT32


def _choose(compiled: Callable[P, R], oracle: Callable[P, R]) -> Callable[P, R]:
    """The compiled kernel for float32 arguments, its oracle for the rest."""

    @functools.wraps(oracle)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for value in (*args, *kwargs.values()) if kwargs else args:
            # Most arrays are float32, and comparing dtypes takes time: first whether it is the very same one.
            if isinstance(value, ndarray) and value.dtype is not _FLOAT32 and _other_float(value.dtype):
                return oracle(*args, **kwargs)
        start_threads()
        return compiled(*args, **kwargs)

    call.__module__ = __name__  # where pickle finds it
    return call


if BACKEND == "reference":
    from psgd_ref.kernels.reference import (
        avg_pool2d,
        avg_pool2d_backward,
        batch_norm_backward,
        batch_norm_eval,
        batch_norm_train,
        channel_sum,
        conv2d,
        conv2d_backward,
        cross_entropy,
        fake_quantize,
        fake_quantize_backward,
        global_avg_pool,
        global_avg_pool_backward,
        linear,
        linear_backward,
        max_pool2d,
        max_pool2d_backward,
        nested_round,
        nested_round_backward,
        psgd_update,
        relu,
        relu_backward,
        soft_round_backward,
    )
else:
    from psgd_ref.kernels import activation, channels, conv, loss, norm, pool, update
    from psgd_ref.kernels import fake_quantize as _fake
    from psgd_ref.kernels import linear as _linear
    from psgd_ref.kernels.parallel import start_threads

    avg_pool2d = _choose(pool.avg_pool2d, reference.avg_pool2d)
    avg_pool2d_backward = _choose(pool.avg_pool2d_backward, reference.avg_pool2d_backward)
    batch_norm_backward = _choose(norm.batch_norm_backward, reference.batch_norm_backward)
    batch_norm_eval = _choose(norm.batch_norm_eval, reference.batch_norm_eval)
    batch_norm_train = _choose(norm.batch_norm_train, reference.batch_norm_train)
    channel_sum = _choose(channels.channel_sum, reference.channel_sum)
    conv2d = _choose(conv.conv2d, reference.conv2d)
    conv2d_backward = _choose(conv.conv2d_backward, reference.conv2d_backward)
    cross_entropy = _choose(loss.cross_entropy, reference.cross_entropy)
    fake_quantize = _choose(_fake.fake_quantize, reference.fake_quantize)
    fake_quantize_backward = _choose(_fake.fake_quantize_backward, reference.fake_quantize_backward)
    global_avg_pool = _choose(pool.global_avg_pool, reference.global_avg_pool)
    global_avg_pool_backward = _choose(pool.global_avg_pool_backward, reference.global_avg_pool_backward)
    linear = _choose(_linear.linear, reference.linear)
    linear_backward = _choose(_linear.linear_backward, reference.linear_backward)
    max_pool2d = _choose(pool.max_pool2d, reference.max_pool2d)
    max_pool2d_backward = _choose(pool.max_pool2d_backward, reference.max_pool2d_backward)
    nested_round = _choose(_fake.nested_round, reference.nested_round)
    nested_round_backward = _choose(_fake.nested_round_backward, reference.nested_round_backward)
    psgd_update = _choose(update.psgd_update, reference.psgd_update)
    relu = _choose(activation.relu, reference.relu)
    relu_backward = _choose(activation.relu_backward, reference.relu_backward)
    soft_round_backward = _choose(_fake.soft_round_backward, reference.soft_round_backward)

__all__ = [
    "Part",
    "Parts",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm_backward",
    "batch_norm_eval",
    "batch_norm_train",
    "channel_sum",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "fake_quantize",
    "fake_quantize_backward",
    "global_avg_pool",
    "global_avg_pool_backward",
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
