"""A helper is told which gradients to compile, and does nothing else."""

import io
import json

import numpy as np
import pytest

from psgd_ref import kernels
from psgd_ref.kernels import ahead, reference

X, W, ROW = np.ones((3, 5, 5, 2), np.float32), np.ones((3, 3, 2, 4), np.float32), np.ones(2, np.float32)
CALLS = {
    "conv2d": (X, W, np.ones(4, np.float32), (2, 1), (1, 0)),
    "linear": (np.ones((3, 2), np.float32), np.ones((2, 4), np.float32), None),
    "batch_norm_train": (X, ROW, ROW, ROW, ROW, 0.1, 1e-5, None, True),
    "global_avg_pool": (X,),
}


class Helper:
    """In place of the process: keeps what it is told."""

    def __init__(self, command, **options):
        self.stdin, self.environ = io.StringIO(), options["env"]

    def told(self):
        return [json.loads(line) for line in self.stdin.getvalue().splitlines()]


@pytest.fixture
def state(monkeypatch):
    """A process without a helper, on two cores."""
    monkeypatch.setattr(ahead.subprocess, "Popen", Helper)
    monkeypatch.setattr(ahead.atexit, "register", lambda *call: None)
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 2)
    monkeypatch.setenv("PSGD_REF_AHEAD", "1")
    monkeypatch.setattr(ahead, "state", ahead.State())
    return ahead.state


def compile_during(name):
    ahead.state.call = name, CALLS.get(name, ())
    ahead.compiling()
    ahead.compiling()  # what the first kernel calls
    ahead.state.call = None


def test_the_helper_hears_of_forward_kernels_once_gradients_are_expected(state):
    compile_during("conv2d")
    assert state.helper is None
    ahead.expect_backward()
    compile_during("psgd_update")
    assert state.helper is None
    compile_during("conv2d")
    compile_during("global_avg_pool")
    assert state.helper.told() == [
        ["conv2d", [{"shape": [3, 5, 5, 2]}, {"shape": [3, 3, 2, 4]}, {"shape": [4]}, [2, 1], [1, 0]]],
        ["global_avg_pool", [{"shape": [3, 5, 5, 2]}]],
    ]
    assert state.helper.environ["PSGD_REF_AHEAD"] == "0"
    assert state.call is None  # arrays are not held


@pytest.mark.parametrize("cores", [1, None])
def test_one_core_has_no_helper(state, monkeypatch, cores):
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: cores)
    ahead.expect_backward()
    compile_during("conv2d")
    assert state.helper is None


def test_it_can_be_forbidden(state, monkeypatch):
    monkeypatch.setenv("PSGD_REF_AHEAD", "0")
    ahead.expect_backward()
    compile_during("conv2d")
    assert state.helper is None


def test_the_helper_calls_the_gradients_that_the_layers_would(state, monkeypatch):
    ahead.expect_backward()
    for name in CALLS:
        compile_during(name)
    called = {}
    wanted = ("conv2d_backward", "linear_backward", "batch_norm_backward", "global_avg_pool_backward")
    for name in (*wanted, "channel_sum", "psgd_update", "cross_entropy"):
        oracle = getattr(reference, name)
        monkeypatch.setattr(
            kernels, name, lambda *a, _name=name, _oracle=oracle: called.update({_name: _oracle(*a)})
        )
    monkeypatch.setattr("sys.stdin", io.StringIO(state.helper.stdin.getvalue()))
    ahead._main()
    assert set(called) == {*wanted, "channel_sum", "psgd_update", "cross_entropy"}
    dx, dw = called["conv2d_backward"]
    assert (dx.shape, dw.shape) == ((1, 5, 5, 2), W.shape)
    assert called["global_avg_pool_backward"].shape == (1, 5, 5, 2)
