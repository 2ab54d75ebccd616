"""Real processes, really killed: with SIGKILL at random moments, and with Ctrl-C."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from psgd_ref.training.runs.checkpoint import checkpoints
from psgd_ref.training.runs.configuration import Configuration
from psgd_ref.training.runs.run import read_metrics, train

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
CHOSEN = Configuration(data="moons", epochs=60, batch_size=200, psgd_from=21, lr=0.05)
KILLS = 4


def started(folder):
    """A process that trains in the folder, or goes on there."""
    # One thread: the process shares the machine with other tests, and threads do not change the bits.
    environment = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    options = ["--config", folder.parent / "chosen.toml", "--out", folder]
    # Before its record is written there is no run to resume.
    options += ["--resume"] * (folder / "config.toml").exists()
    (folder.parent / "chosen.toml").write_text(CHOSEN.as_toml())
    words = [sys.executable, "-m", "psgd_ref", "train", *map(str, options)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(folder, epochs, process):
    """Wait until the run has finished so many epochs or the process has ended."""
    while len(read_metrics(folder)) < epochs and process.poll() is None:
        time.sleep(0.005)


def finished(folder):
    """The checkpoints of the run when it is gone on with to its end, here."""
    train(CHOSEN, folder, resume=True, show_progress=False)
    return [(path.name, path.read_bytes()) for path in checkpoints(folder)[-2:]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("undisturbed") / "run")


def test_killed_at_random_moments_and_resumed_it_gives_the_same_bits(undisturbed, tmp_path):
    seed = random.randrange(2**32)
    print("seed of the moments:", seed)
    chance, ends = random.Random(seed), []
    for kill in range(KILLS):
        process = started(tmp_path / "run")
        # The first at any time while starting; later ones in a step, while saving, or between.
        if kill == 0:
            time.sleep(chance.uniform(0.5, 3))
        else:
            wait_for(tmp_path / "run", 12 * kill, process)
            time.sleep(chance.uniform(0, 0.1))
        process.kill()
        _, error = process.communicate(timeout=120)
        ends.append(process.returncode)
        assert ends[-1] in (0, -signal.SIGKILL), error
    assert ends.count(-signal.SIGKILL) >= 2
    assert finished(tmp_path / "run") == undisturbed


def test_ctrl_c_saves_says_how_to_resume_and_ends_with_130(undisturbed, tmp_path):
    folder = tmp_path / "run"
    process = started(folder)
    wait_for(folder, 3, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    step = int(checkpoints(folder)[-1].stem[-8:])
    assert (
        f"interrupted and saved after step {step}; go on with: psgd-ref train --out {folder} --resume"
        in error
    )
    assert "Traceback" not in error
    assert 0 < step < 540
    assert finished(folder) == undisturbed
