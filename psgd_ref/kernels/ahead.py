"""Backward kernels compiled by a second process while this one compiles the forward ones.

Compilation takes longer than anything else in the first training step, and Numba compiles one function at a
time in a process. So when a forward kernel has to be compiled on the way to a gradient, a helper is told, and
compiles the kernel of the gradient into the cache, from which this process will load it. Nothing comes of the
helper but that. PSGD_REF_AHEAD=0 does without, as processes do that compile side by side anyway.
"""

import atexit
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from psgd_ref.kernels.reference import Norm

# Arguments of a call as they are sent: shapes of arrays, else the value.
_SHAPE = "shape"


@dataclass
class State:
    """What this process knows of its helper.

    Parameters
    ----------
    expecting
        Whether gradients will be asked for.
    call
        Name and arguments of the kernel call that is running, whose arrays it holds until that is over.
    helper
        The helper, once it was started.
    """

    expecting: bool = False
    call: tuple[str, tuple[Any, ...]] | None = None
    helper: "subprocess.Popen[str] | None" = None


state = State()


def expect_backward() -> None:
    """Say that gradients will be asked for; called before every training step's forward pass."""
    state.expecting = True


def compiling() -> None:
    """Tell the helper what is about to be compiled, if a gradient follows from it. Starts the helper."""
    if not state.expecting or state.call is None or state.call[0] not in GRADIENTS:
        return
    if os.environ.get("PSGD_REF_AHEAD", "1") == "0" or (os.cpu_count() or 1) < 2:
        return
    if state.helper is None:
        state.helper = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is this process's business
            env=os.environ | {"PSGD_REF_AHEAD": "0"},
        )
        atexit.register(_end, state.helper)
    (name, arguments), state.call = state.call, None  # once a call
    sent = [
        {_SHAPE: a.shape} if isinstance(a, np.ndarray) else a for a in arguments if not isinstance(a, Norm)
    ]
    assert state.helper.stdin is not None
    try:
        state.helper.stdin.write(json.dumps([name, sent]) + "\n")
        state.helper.stdin.flush()
    except OSError:  # it has ended; then this process compiles by itself
        pass


def _end(helper: "subprocess.Popen[str]") -> None:
    helper.kill()
    helper.communicate()


def _conv2d(x: Any, w: Any, bias: Any, stride: Any, padding: Any) -> None:
    from psgd_ref import kernels

    stride, padding = tuple(stride), tuple(padding)
    size = [(x.shape[1 + i] + 2 * padding[i] - w.shape[i]) // stride[i] + 1 for i in (0, 1)]
    dy = np.zeros((len(x), *size, w.shape[3]), np.float32)
    kernels.conv2d_backward(dy, x, w, stride, padding)
    if bias is not None:
        kernels.channel_sum(dy)


def _linear(x: Any, w: Any, bias: Any) -> None:
    from psgd_ref import kernels

    dy = np.zeros((len(x), w.shape[1]), np.float32)
    kernels.linear_backward(dy, x, w)
    if bias is not None:
        kernels.channel_sum(dy)


def _batch_norm(x: Any, gamma: Any, *rest: Any) -> None:
    from psgd_ref import kernels

    kernels.batch_norm_backward(x, x, x, gamma, gamma, gamma, 1e-5, True)


def _global_avg_pool(x: Any) -> None:
    from psgd_ref import kernels

    kernels.global_avg_pool_backward(np.zeros((len(x), x.shape[3]), np.float32), x.shape)


GRADIENTS: dict[str, Callable[..., None]] = {
    "conv2d": _conv2d,
    "linear": _linear,
    "batch_norm_train": _batch_norm,
    "global_avg_pool": _global_avg_pool,
}


def _step() -> None:
    """What every training step ends with."""
    from psgd_ref import kernels

    w, g, v, steps = np.ones((4, 1), np.float32)
    kernels.psgd_update(w, g, v, kernels.Parts.of([kernels.Part(0, 1)]), steps, 0.1, 0.9, 0.0)
    kernels.cross_entropy(np.zeros((2, 2), np.float32), np.zeros(2, np.intp), 0.0)


def _main() -> None:
    """Compile the gradients of the calls on standard input, of one image each."""
    for number, line in enumerate(sys.stdin):
        name, sent = json.loads(line)
        arguments = [np.zeros(a[_SHAPE], np.float32) if isinstance(a, dict) else a for a in sent]
        GRADIENTS[name](arguments[0][:1], *arguments[1:])
        if number == 0:
            _step()


if __name__ == "__main__":
    _main()
