"""How much memory training takes, measured in a process of its own."""

import subprocess
import sys

import pytest

# A training step and a batch of the evaluation, in the sizes that `psgd-ref train` uses.
CODE = """
import resource
import numpy as np
from psgd_ref.compress import MinMaxGrid
from psgd_ref.models import resnet
from psgd_ref.training import PSGD
from psgd_ref.training.evaluation import BATCH_SIZE
model, optimizer = resnet(32), PSGD(0.1, grid=MinMaxGrid(4))
state = optimizer.init(model)
model.loss_and_grad(np.ones((128, 32, 32, 3), np.float32), np.zeros(128, int))
optimizer.update(model, state)
model.forward(np.ones((BATCH_SIZE, 32, 32, 3), np.float32))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
MIB = 2**10
# CIFAR's pixels, and the file that they are read from.
DATA = 2 * 60000 * 32 * 32 * 3 / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count in other units")
def test_resnet_32_trains_within_two_gibibytes():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert int(run.stdout) / MIB + DATA < 2048
