"""Our side of the benchmark: the cases of `build.py`, those of single layers and quantizers, and peaks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from psgd_ref import kernels
from psgd_ref.compress import (
    DSQ,
    EWGS,
    LSQ,
    BayesianBits,
    Dampening,
    FakeQuantizer,
    LSQPlus,
    insert_fake_quantizers,
)
from psgd_ref.core.arguments import Array
from psgd_ref.experiments.benchmark import build as shared
from psgd_ref.experiments.benchmark.worker import Step, serve
from psgd_ref.kernels.compile import body, loop_kernel
from psgd_ref.kernels.parallel import for_each, start_threads
from psgd_ref.training import QAT, CrossEntropy, Objective, Penalized

QUANTIZERS: dict[str, type[FakeQuantizer]] = {
    "LSQ": LSQ,
    "LSQ+": LSQPlus,
    "DSQ": DSQ,
    "EWGS": EWGS,
    "Bayesian Bits": BayesianBits,
    "LSQ + dampening": LSQ,
}


def build(case: dict[str, Any]) -> tuple[Step, float]:
    """A call that does the work of the case once, and how much work that is.

    Parameters
    ----------
    case : dict
        The work and its options, such as `Case.request` gives.

    Returns
    -------
    step : callable
        Takes no arguments.
    amount : float
        In FLOP; in bytes for the optimiser and the triad.
    """
    make = {"layer": _layer, "sgemm": _sgemm, "triad": _triad}
    if case["work"] in make:
        return make[case["work"]](case)
    step = _aware_step(case) if case.get("quantizer") else shared.build(case)[0]
    if case["work"] == "cold":
        return step, 0.0
    if case["work"] == "optimizer":
        step()
        return step, 20.0 * shared.network(case).w.size  # w, g, v read, w and v written
    with _counted() as count:
        step()
    return step, sum(count)


def _aware_step(case: dict[str, Any]) -> Step:
    """A step of quantization-aware training."""
    model, (x, labels) = shared.network(case), shared.batch(case)
    objective: Objective = CrossEntropy()
    insert_fake_quantizers(model, QUANTIZERS[case["quantizer"]], case["bits"], case["bits"], x)
    optimizer = QAT(0.01)
    if "dampening" in case["quantizer"]:
        objective = Penalized(objective, [Dampening(1e-3, 1)])
    state = optimizer.init(model)

    def train() -> object:
        objective(model, x, labels, 0)
        return optimizer.update(model, state)

    return train


@contextmanager
def _counted() -> Iterator[list[float]]:
    """FLOP of the matrix products and convolutions that go through the kernels' interface."""
    count: list[float] = []
    names = ("conv2d", "conv2d_backward", "linear", "linear_backward")
    originals = {name: getattr(kernels, name) for name in names}

    def counting(name: str) -> Any:
        def call(first: Array, second: Array, *rest: Any) -> Any:
            result = originals[name](first, second, *rest)
            if name.endswith("backward"):
                passes, y, w = 2 if result[0] is not None else 1, first, rest[0]
            else:
                passes, y, w = 1, result, second
            count.append(2.0 * passes * y.size * w.size / w.shape[-1])
            return result

        return call

    for name in names:
        setattr(kernels, name, counting(name))
    try:
        yield count
    finally:
        for name, original in originals.items():
            setattr(kernels, name, original)


def _layer(case: dict[str, Any]) -> tuple[Step, float]:
    rng, channels = np.random.default_rng(0), case["channels"]
    shape = (case["batch"], case["size"], case["size"], channels)
    x, dy = rng.standard_normal((2, *shape)).astype(np.float32)
    w = rng.standard_normal((3, 3, channels, channels)).astype(np.float32)
    flop = 2.0 * x.size * 9 * channels
    if case["passes"] == "forward":
        return lambda: kernels.conv2d(x, w, None, (1, 1), (1, 1)), flop
    return lambda: kernels.conv2d_backward(dy, x, w, (1, 1), (1, 1)), 2 * flop


def _sgemm(case: dict[str, Any]) -> tuple[Step, float]:
    a, b = np.ones((2, 1024, 1024), np.float32)
    return lambda: a @ b, 2.0 * 1024**3


def _triad(case: dict[str, Any]) -> tuple[Step, float]:
    a, b, c = np.ones((3, case["size"]), np.float32)
    return lambda: _run_triad(a, b, c), 12.0 * a.size


@loop_kernel
def _run_triad(a, b, c):
    for_each((a.size + 8191) // 8192, a.size, _triad_block, (a, b, c))


@body
def _triad_block(index, worker, a, b, c):
    lo, hi = index * 8192, (index + 1) * 8192
    x, y, z = a[lo:hi], b[lo:hi], c[lo:hi]
    for i in range(x.size):
        x[i] = y[i] + np.float32(3) * z[i]


if __name__ == "__main__":
    start_threads()
    serve(build)
