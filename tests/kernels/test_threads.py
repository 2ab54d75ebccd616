"""Python threads that train and evaluate at once get the bits of those that do it one after the other."""

import pytest

from psgd_ref.kernels import BACKEND
from tests.kernels.processes import run_python

pytestmark = pytest.mark.skipif(BACKEND != "tile", reason="about the compiled kernels")

CODE = """
import hashlib
from concurrent.futures import ThreadPoolExecutor
import numba
import numpy as np
from psgd_ref.compress import MinMaxGrid
from psgd_ref.models import convnet
from psgd_ref.training import PSGD
rng = np.random.default_rng(0)
# Enough work for kernels to use several threads.
x, labels = rng.standard_normal((128, 16, 16, 1)).astype(np.float32), rng.integers(0, 10, 128)
def train(seed):
    model = convnet(widths=(8, 8), seed=seed)
    optimizer = PSGD(0.1, grid=MinMaxGrid(4))
    state = optimizer.init(model)
    for _ in range(6):
        model.loss_and_grad(x, labels)
        optimizer.update(model, state)
    return hashlib.sha256(model.w.tobytes() + model.forward(x).tobytes()).hexdigest()
with ThreadPoolExecutor(4) as pool:
    at_once = list(pool.map(train, range(8)))
print(at_once == [train(seed) for seed in range(8)], numba.threading_layer())
"""


@pytest.mark.parametrize("layer", ["workqueue", "omp", "tbb"])
def test_several_threads_train_at_once(layer):
    if layer == "tbb":
        pytest.importorskip("numba.np.ufunc.tbbpool", exc_type=ImportError)
    done = run_python(CODE, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=2)
    assert done.stdout == f"True {layer}\n"
