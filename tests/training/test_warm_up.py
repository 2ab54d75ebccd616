"""A rehearsal calls every kernel that training and evaluation call: nothing is left to compile."""

import numpy as np
import pytest

from psgd_ref import kernels
from psgd_ref.compress import MinMaxGrid
from psgd_ref.models import convnet, mlp, resnet
from psgd_ref.training import PSGD, SGD, warm_up


def calls(monkeypatch, work):
    """What `work()` calls of the kernels with float32 arrays: names, and the axes of the arrays."""
    seen = set()

    def recording(name, kernel):
        def call(*args, **kwargs):
            arrays = [a for a in args if isinstance(a, np.ndarray)]
            if all(a.dtype != np.float64 for a in arrays):
                seen.add((name, tuple(a.ndim for a in arrays)))
            return kernel(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in kernels.__all__:
            if name not in ("Norm", "Part", "Parts"):
                patch.setattr(kernels, name, recording(name, getattr(kernels, name)))
        work()
    return seen


NETWORKS = {
    "convnet": (lambda: convnet(widths=(4, 4, 8)), (6, 6, 1)),
    "mlp": (lambda: mlp((36, 5, 10)), (6, 6, 1)),
    "resnet": (lambda: resnet(8, width=4), (8, 8, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimizer", [SGD(0.1), PSGD(0.1, grid=MinMaxGrid(4))], ids=["sgd", "psgd"])
def test_the_parts_together_call_what_a_step_calls(monkeypatch, name, optimizer):
    build, shape = NETWORKS[name]
    model = build()
    images, labels = np.ones((2, *shape), np.float32), np.zeros(2, np.intp)

    def rehearse():
        for stage in warm_up.stages(build()):
            warm_up.rehearse(build(), optimizer, shape, stage)

    def train():
        model.loss_and_grad(images, labels)
        optimizer.update(model, optimizer.init(model))
        model.forward(images)

    assert calls(monkeypatch, train) <= calls(monkeypatch, rehearse)


def test_there_is_one_part_for_each_kind_of_layer():
    assert warm_up.stages(convnet(widths=(4, 4, 8))) == [
        "", "conv1", "bn1", "conv2", "pool", "conv3", "bn3", "mean", "fc"
    ]  # fmt: skip
