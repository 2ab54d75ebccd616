"""Across processes: the same bits for any number of threads, a cache that notices edits, forks, settings."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import numba
import numpy as np
import pytest

import psgd_ref
from psgd_ref import kernels
from psgd_ref.kernels import BACKEND
from psgd_ref.kernels.cache import FileCache
from tests.kernels.processes import run_python

pytestmark = pytest.mark.skipif(BACKEND != "tile", reason="about the compiled kernels")

SMALL = """
import numpy as np
from psgd_ref import kernels
x, w = np.ones((8, 16, 16, 4), np.float32), np.ones((3, 3, 4, 8), np.float32)
def small():
    return float(kernels.conv2d(x, w, None, (1, 1), (1, 1)).sum())
"""

STEP = """
import hashlib, json
import numpy as np
from psgd_ref.compress import MinMaxGrid
from psgd_ref.kernels import memory
from psgd_ref.models import resnet
from psgd_ref.training import PSGD
rng = np.random.default_rng(0)
x, labels = rng.standard_normal((20, 32, 32, 3)).astype(np.float32), rng.integers(0, 10, 20)
model = resnet(depth=20)
optimizer = PSGD(0.1, grid=MinMaxGrid(4))
state = optimizer.init(model)
created = []
for _ in range(3):
    model.loss_and_grad(x, labels)
    state = optimizer.update(model, state)
    created.append(memory.created_bytes())
arrays = [model.w, model.g, *model.buffers.values()]
print(json.dumps([[hashlib.sha256(a.tobytes()).hexdigest() for a in arrays], created]))
"""


def small():
    """What the code `SMALL` gives."""
    x, w = np.ones((8, 16, 16, 4), np.float32), np.ones((3, 3, 4, 8), np.float32)
    return float(kernels.conv2d(x, w, None, (1, 1), (1, 1)).sum())


def test_resnet_steps_have_the_same_bits_in_every_process_and_make_no_new_arrays():
    (bits, created), *others = (
        json.loads(run_python(STEP, NUMBA_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads).stdout)
        for threads in (1, 2, 2)
    )
    assert all(bits == other for other, _ in others)
    # Large arrays are made in the first step; the later ones find them.
    assert created[0] > 1 << 20
    assert created[-1] - created[0] < 1 << 20


@pytest.mark.parametrize(("lanes", "outputs"), [(4, 7), (8, 9), (16, 5)])
def test_other_vector_lengths_give_the_same_results(lanes, outputs):
    code = f"""
import numpy as np
from psgd_ref.kernels.compile import LANES
assert LANES == {lanes}
from psgd_ref.kernels import conv, reference
rng = np.random.default_rng(0)
x, w = rng.standard_normal((2, 7, 5, 3)).astype("f"), rng.standard_normal((3, 2, 3, {outputs})).astype("f")
y = conv.conv2d(x, w, None, (2, 1), (1, 1))
X, W, Y = (a.astype(float) for a in (x, w, y))
np.testing.assert_allclose(y, reference.conv2d(X, W, None, (2, 1), (1, 1)), atol=1e-5)
oracle = reference.conv2d_backward(Y, X, W, (2, 1), (1, 1))
for one, other in zip(conv.conv2d_backward(y, x, w, (2, 1), (1, 1)), oracle):
    np.testing.assert_allclose(one, other, atol=1e-3)
from psgd_ref.kernels import norm, norm_backward, pool
gamma, mean, var = np.ones(3, "f"), x.mean((0, 1, 2)), x.var((0, 1, 2))
for module, name, args in (
    (norm, "batch_norm_eval", (x, gamma, gamma, mean, var, 1e-5, x, True)),
    (norm_backward, "batch_norm_backward", (x, x, x, gamma, mean, var, 1e-5, True)),
    (pool, "max_pool2d", (x, (2, 2), (2, 2), (0, 0))),
):
    wide = [a.astype(float) if isinstance(a, np.ndarray) else a for a in args]
    one, other = getattr(module, name)(*args), getattr(reference, name)(*wide)
    for result, oracle in zip(one, other):
        np.testing.assert_allclose(result, oracle, atol=1e-4)
"""
    # Compiled once for each length, into the cache of all tests.
    run_python(code, PSGD_REF_LANES=lanes)


def test_of_processes_that_start_together_one_compiles_and_says_so(tmp_path):
    code = SMALL + "print(float(kernels.relu(x).sum()))"
    with ThreadPoolExecutor() as pool:
        together = [pool.submit(run_python, code, PSGD_REF_CACHE=tmp_path) for _ in range(2)]
    assert [done.result().stdout for done in together] == ["8192.0\n"] * 2
    said = [done.result().stderr for done in together]
    assert sorted(text.count("\n") for text in said) == [0, 1]
    assert "compiling kernels" in "".join(said)
    assert str(tmp_path) in "".join(said)
    # Numba writes one file for each compiled function: none was compiled twice, and later none at all.
    made = sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.nbc"))
    assert len(made) == 2
    assert run_python(code, PSGD_REF_CACHE=tmp_path).stderr == ""
    assert made == sorted((path.name, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.nbc"))


@pytest.mark.parametrize("name", ["relu", "channel_sum", "global_avg_pool"])
def test_any_kernel_may_be_the_first_to_come_from_the_cache(name):
    x = np.ones((40, 32, 32, 3), np.float32)
    code = SMALL + f"print(kernels.{name}(np.ones((40, 32, 32, 3), np.float32)).sum())"
    expected = getattr(kernels, name)(x).sum()  # now it is in the cache
    assert run_python(code).stdout == f"{expected}\n"


def test_an_edited_kernel_is_compiled_anew(tmp_path):
    package = tmp_path / "psgd_ref"
    shutil.copytree(Path(psgd_ref.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = """
import numpy as np
from psgd_ref import kernels
print(float(kernels.relu(np.full(4, 3, np.float32))[0]))
"""
    settings = {"folder": tmp_path, "PSGD_REF_CACHE": tmp_path / "cache", "PYTHONPATH": tmp_path}
    assert run_python(code, **settings).stdout == "3.0\n"
    # The edit is in a file that the kernel imports from, which Numba by itself would not notice.
    blocks = package / "kernels" / "blocks.py"
    text = blocks.read_text()
    assert "ZERO = np.float32(0)" in text
    blocks.write_text(text.replace("ZERO = np.float32(0)", "ZERO = np.float32(5)"))
    changed = code.replace("np.full(4, 3,", "np.full(4, -3,")
    assert run_python(changed, **settings).stdout == "5.0\n"


@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_threading_layers(layer):
    code = SMALL + "print(small()); import numba; print(numba.threading_layer())"
    done = run_python(code, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=2)
    assert done.stdout == f"{small()}\n{layer}\n"


FORK = """
import os, sys
parent = small()
child = os.fork()
if child == 0:
    try:
        os._exit(0 if small() == parent else 3)
    except RuntimeError as error:
        os._exit(4 if "forked" in str(error) and "spawn" in str(error) else 5)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
@pytest.mark.parametrize(("layer", "status"), [("omp", "4"), ("workqueue", "0")])
def test_a_forked_child_works_or_is_told_why_not(layer, status):
    done = run_python(SMALL + FORK, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=2)
    assert done.stdout.strip() == status


def test_spawned_workers_work():
    code = (
        SMALL
        + """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
if __name__ == "__main__":
    small()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        y = pool.submit(kernels.conv2d, x, w, None, (1, 1), (1, 1)).result()
    print(float(y.sum()) == small())
"""
    )
    assert run_python(code).stdout == "True\n"


def test_without_the_compiler_the_oracles_serve():
    code = SMALL + "print(kernels.BACKEND, small())"
    expected = f"reference {small()}\n"
    assert run_python(code, NUMBA_DISABLE_JIT=1).stdout == expected
    assert run_python(code, PSGD_REF_KERNELS="reference").stdout == expected


@pytest.mark.parametrize(("name", "value"), [("PSGD_REF_KERNELS", "fast"), ("PSGD_REF_LANES", "7")])
def test_settings_that_are_not_known_are_refused(name, value):
    code = """
try:
    import psgd_ref.kernels
except ValueError as error:
    print(error)
"""
    message = run_python(code, **{name: value}).stdout
    assert message.startswith(f"{name} must be ")
    assert message.endswith(f"got '{value}'\n")


RELU = """
import os, sys
import numpy as np
from psgd_ref import kernels
print(kernels.relu(np.full(4, 3, np.float32)).sum())
"""
COMPILES = "compiling kernels for this CPU"


def damaged(content, random):
    kind = random.randrange(4)
    if kind == 0:
        return content[: random.randrange(len(content))]
    if kind == 1:
        return bytes(random.randrange(256) for _ in range(100))
    if kind == 2:
        return content + b"\0"
    changed = bytearray(content)
    changed[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return bytes(changed)


def test_of_a_damaged_cache_everything_is_compiled_anew(tmp_path):
    run_python(RELU, PSGD_REF_CACHE=tmp_path)
    random = Random(0)
    for path in tmp_path.rglob("*.nbc"):
        path.write_bytes(damaged(path.read_bytes(), random))
    done = run_python(RELU, PSGD_REF_CACHE=tmp_path)
    assert done.stdout == "12.0\n"
    (next(tmp_path.rglob("compiling"))).unlink()
    # And what was compiled anew has taken the damaged files' place.
    assert run_python(RELU, PSGD_REF_CACHE=tmp_path).stderr == ""


def double(x):
    return 2 * x


def test_damage_of_any_kind_is_a_miss(tmp_path):
    dispatcher = numba.njit(double)
    dispatcher._cache = cache = FileCache(double, tmp_path)
    assert dispatcher(1.5) == 3
    (path,) = tmp_path.iterdir()
    ((signature, result),) = dispatcher.overloads.items()
    assert cache.load_overload(signature, dispatcher.targetctx) is not None
    assert cache.load_overload((numba.int8,), dispatcher.targetctx) is None
    whole, random = path.read_bytes(), Random(0)
    for _ in range(200):
        path.write_bytes(damaged(whole, random))
        assert cache.load_overload(signature, dispatcher.targetctx) is None
    path.unlink()
    path.mkdir()
    assert cache.load_overload(signature, dispatcher.targetctx) is None
    cache.save_overload(signature, result)
    assert list(tmp_path.iterdir()) == [path]


def test_a_filled_cache_that_cannot_be_written_is_read(tmp_path):
    run_python(RELU, PSGD_REF_CACHE=tmp_path)
    # The rights of a file do not stop root, so that writing is refused by Python's own hook.
    refusing = """
import sys
def refuse(event, arguments):
    if event in ("os.mkdir", "os.rename", "os.remove", "os.utime"):
        raise OSError(30, "Read-only file system")
    if event == "open" and (arguments[2] & 3):
        raise OSError(30, "Read-only file system", arguments[0])
sys.addaudithook(refuse)
"""
    done = run_python(refusing + RELU, PSGD_REF_CACHE=tmp_path, PYTHONDONTWRITEBYTECODE=1)
    assert (done.stdout, done.stderr) == ("12.0\n", "")
    done = run_python(refusing + RELU, PSGD_REF_CACHE=tmp_path / "none", PYTHONDONTWRITEBYTECODE=1)
    assert (done.stdout, done.stderr.count("\n")) == ("12.0\n", 1)
    assert "not kept: no cache folder can be written" in done.stderr


# As where the user has no entry in passwd and no HOME.
HOMELESS = """
import os, pwd
for name in ("HOME", "XDG_CACHE_HOME", "PSGD_REF_CACHE", "PSGD_REF_DATA"):
    os.environ.pop(name, None)
def nobody(number):
    raise KeyError(number)
pwd.getpwuid = nobody
"""


def test_without_a_home_one_line_names_the_variable_and_no_folder_is_made(tmp_path):
    done = run_python(HOMELESS + RELU, folder=tmp_path)
    assert (done.stdout, done.stderr.count("\n")) == ("12.0\n", 1)
    assert "say with PSGD_REF_CACHE where to keep files" in done.stderr
    ask = """
from psgd_ref.data import data_folder
from psgd_ref.experiments.store.arrays import default_folder
for ask in (data_folder, default_folder):
    try:
        print(ask())
    except ValueError as error:
        print(error)
"""
    said = run_python(HOMELESS + ask, folder=tmp_path).stdout.splitlines()
    assert ["PSGD_REF_DATA" in said[0], "PSGD_REF_CACHE" in said[1]] == [True, True]
    assert list(tmp_path.iterdir()) == []


def test_a_relative_cache_lies_where_the_process_started(tmp_path):
    (tmp_path / "other").mkdir()
    code = "import os; import psgd_ref.kernels; os.chdir('other')" + RELU
    run_python(code, folder=tmp_path, PSGD_REF_CACHE="cache")
    assert len(list((tmp_path / "cache").rglob("*.nbc"))) > 0
    assert list((tmp_path / "other").iterdir()) == []
