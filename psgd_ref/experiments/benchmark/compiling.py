"""What compiling the kernels costs: seconds for each, with nothing compiled before."""

import json
import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
from numba.core import event


class _Watch(event.Listener):
    """Notes the seconds that each kernel took, those of what it calls included."""

    def __init__(self) -> None:
        self.open, self.seconds = list[float](), dict[str, float]()

    def on_start(self, event: Any) -> None:
        self.open.append(process_time())

    def on_end(self, event: Any) -> None:
        begin, function = self.open.pop(), event.data["dispatcher"].py_func
        if not self.open:
            name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
            self.seconds[name] = self.seconds.get(name, 0.0) + process_time() - begin


def measure() -> dict[str, Any]:
    """What compiling costs a first ResNet-32 training step, in a process with an empty cache.

    Returns
    -------
    dict
        `kernels`: seconds of the processor for each of them, longest first, where one process compiles all.
        `cold` and `warm`: seconds of the whole step by the clock, with the helper (`kernels.ahead`), nothing
        compiled and then all in the cache.
    """
    with TemporaryDirectory() as folder, TemporaryDirectory() as other:
        alone = _first_step(folder, PSGD_REF_AHEAD="0")
        cold, warm = (_first_step(other) for _ in range(2))
    rows = sorted(alone["kernels"].items(), key=lambda row: -row[1])
    return {"kernels": dict(rows), "cold": cold["step"], "warm": warm["step"]}


def table(found: dict[str, Any]) -> str:
    """What `measure` found as Markdown."""
    kernels = found["kernels"]
    return "\n".join(
        [
            "| kernel | seconds |",
            "|---|---:|",
            *(f"| {name} | {seconds:.2f} |" for name, seconds in kernels.items()),
            f"| all {len(kernels)} | {sum(kernels.values()):.2f} |",
            f"| first step, nothing compiled (by the clock) | {found['cold']:.2f} |",
            f"| first step, all in the cache | {found['warm']:.2f} |",
        ]
    )


def _first_step(cache: str, **environ: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", __name__],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PSGD_REF_CACHE": cache} | environ,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def _main() -> None:
    from psgd_ref.models import resnet
    from psgd_ref.training import SGD

    watch = _Watch()
    register: Any = event.register
    register("numba:compile", watch)
    model, optimizer = resnet(32), SGD(0.1)
    images = np.random.default_rng(0).standard_normal((8, 32, 32, 3)).astype(np.float32)
    start = perf_counter()
    state = optimizer.init(model)
    model.loss_and_grad(images, np.arange(8))
    optimizer.update(model, state)
    print(json.dumps({"kernels": watch.seconds, "step": perf_counter() - start}))


if __name__ == "__main__":
    _main()
