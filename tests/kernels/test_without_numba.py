"""Where Numba is not installed: PSGD_REF_KERNELS=reference does everything; without it one error says so."""

import os
import subprocess
import sys

BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
"""
USE = """
import numpy as np
import psgd_ref as pr
from psgd_ref.cli import main

digits, model = pr.load("digits"), pr.models.convnet(widths=(2, 4))
first = model.loss_and_grad(digits.normalise(digits.train.images[:20]), digits.train.labels[:20])
optimizer = pr.PSGD(0.1, grid=4)
optimizer.update(model, optimizer.init(model))
assert np.isfinite(first) and "numba" not in sys.modules
small = pr.models.mlp((2, 8, 2))
pr.fit(small, pr.PSGD(0.1, grid=4, eps=0.01), pr.load("moons"), epochs=1, report=False)
found = pr.evaluate(small, pr.load("moons"), bits=[4], reestimate=True)
print(found["W4"] > 0.5, pr.quantize(model, 4).weight_bits)
train = main(["train", "--data", "moons", "--epochs", "1", "--out", sys.argv[1]])
print(train, main(["evaluate", sys.argv[1]]))
"""


def run(code, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_oracles_do_everything(tmp_path):
    done = run(USE, str(tmp_path / "run"), PSGD_REF_KERNELS="reference")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("True {'conv1.weight': 4")
    assert done.stdout.splitlines()[-1] == "0 0"


def test_without_the_switch_one_error_names_it(tmp_path):
    done = run(
        "from psgd_ref.cli import main; sys.exit(main(['train', '--out', sys.argv[1]]))",
        str(tmp_path / "run"),
    )
    assert done.returncode == 2
    assert "PSGD_REF_KERNELS=reference" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
