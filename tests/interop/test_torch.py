"""PSGD for PyTorch against the library's own optimiser and the ledger (the extra `torch`)."""

import copy
import io
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from psgd_ref.compress import FixedTargets, MinMaxGrid, MSEGrid, quantize_tensor  # noqa: E402
from psgd_ref.core import UniformGrid, Zero  # noqa: E402
from psgd_ref.interop import state_dict  # noqa: E402
from psgd_ref.interop.torch import PSGD  # noqa: E402
from psgd_ref.laws import check, check_resume  # noqa: E402
from psgd_ref.nn import BatchNorm, Conv2d, Flatten, Linear, Model, ReLU, Sequential  # noqa: E402
from psgd_ref.training import PSGD as OURS  # noqa: E402

PAGE = Path(__file__).parents[2] / "notebooks/pytorch.md"


def model(dtype):
    layers = Sequential(
        {
            "conv1": Conv2d(3, 8, 3, bias=False),
            "bn1": BatchNorm(8),
            "relu1": ReLU(),
            "conv2": Conv2d(8, 17, 3, bias=False),
            "flatten": Flatten(),
            "fc1": Linear(17 * 16, 40),
            "fc2": Linear(40, 5),
        }
    )
    return Model(layers, dtype=dtype)


def compared(model):
    """The parameters that both treat alike: ours scales the biases of linear layers too."""
    return [segment.name for segment in model.segments if segment.role != "bias"]


def run(dtype, ours, options, steps=8, chain=False, stretch=1.0):
    """The weights after some steps of both from the same weights along the same gradients, by name."""
    rng, net = np.random.default_rng(3), model(dtype)
    net.w[...] = net.w * stretch
    given = state_dict(net)
    parameters = {name: torch.nn.Parameter(torch.from_numpy(given[name].copy())) for name in compared(net)}
    optimizer = PSGD(parameters.values(), **options)
    state = ours.init(net)
    for _ in range(steps):
        net.g[...] = rng.normal(size=net.g.size) * 0.1
        copy_of = model(dtype)
        copy_of.w[...] = net.g
        for name, gradient in state_dict(copy_of).items():
            if name in parameters:
                parameters[name].grad = torch.from_numpy(gradient)
        if chain:
            ours.apply_chain(net, state)
            state["step"] += 1
        else:
            ours.update(net, state)
        optimizer.step()
    expected = state_dict(net)
    return {name: (parameters[name].detach().numpy(), expected[name]) for name in parameters}
