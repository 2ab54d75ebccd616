"""What any build of this package can be timed at: steps, evaluation, the optimiser, `fit`, and a cold start.

`against.py` lays this file over another build of the package and runs it there. So it stands on names that
builds share and passes what they call differently by position.
"""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from psgd_ref.compress import MinMaxGrid
from psgd_ref.data import Dataset, load_digits
from psgd_ref.experiments.benchmark.worker import Step, serve
from psgd_ref.models import convnet, mlp, resnet
from psgd_ref.nn import Model
from psgd_ref.training import PSGD, SGD, fit


def build(case: dict[str, Any]) -> tuple[Step, float]:
    """A call that does the work of the case once; how much that is, `ours.py` counts."""
    make = {
        "optimizer": optimizer_step,
        "fit": fit_epoch,
        "evaluate": evaluation,
        "train": training_step,
        "cold": cold_start,
    }
    return make[case["work"]](case), 0.0


def network(case: dict[str, Any]) -> Model:
    """The network of a case."""
    if case["model"] == "resnet":
        return resnet(case["depth"], width=case["width"])
    if case["model"] == "convnet":
        return convnet(case["image"][-1], case["widths"])
    return mlp(case["widths"])


def batch(case: dict[str, Any]) -> tuple[Any, Any]:
    """Random images and labels."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((case["batch"], *case["image"])).astype(np.float32)
    return x, rng.integers(0, 10, case["batch"])


def training_step(case: dict[str, Any]) -> Step:
    """Forward, backward and the optimiser's update."""
    model, (x, labels) = network(case), batch(case)
    optimizer = PSGD(0.1, grid=MinMaxGrid(4)) if case.get("optimizer") == "psgd" else SGD(0.1)
    state = optimizer.init(model)

    def train() -> object:
        model.loss_and_grad(x, labels)
        return optimizer.update(model, state)

    return train


def evaluation(case: dict[str, Any]) -> Step:
    """Logits with running statistics."""
    model, (x, _) = network(case), batch(case)
    return lambda: model.forward(x)


def optimizer_step(case: dict[str, Any]) -> Step:
    """The update alone, as `fit` calls it, on random gradients: PSGD with the options of the case."""
    model = network(case)
    model.g[...] = np.random.default_rng(0).standard_normal(model.g.size)
    optimizer = PSGD(1e-6, grid=MinMaxGrid(4), **case.get("psgd", {}))
    state = optimizer.init(model)
    return lambda: optimizer.update(model, state)


def fit_epoch(case: dict[str, Any]) -> Step:
    """An epoch of `fit` on the digits, its report included."""
    data: Dataset = load_digits()
    model, optimizer = network(case), SGD(0.1)
    return lambda: fit(model, optimizer, data, epochs=1)


def cold_start(case: dict[str, Any]) -> Step:
    """Python with the case's arguments, in a new process that finds no kernel compiled."""

    def start() -> object:
        with TemporaryDirectory() as folder:
            return subprocess.run(
                [sys.executable, *(word.replace("FOLDER", folder) for word in case["arguments"])],
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PSGD_REF_CACHE": folder},
            )

    return start


if __name__ == "__main__":
    serve(build)
