import subprocess
import sys

import pytest

from psgd_ref.interop.alone import LOCK, alone

HOLD = """
import sys
from pathlib import Path
from psgd_ref.interop.alone import alone
with alone(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_gives_the_folder_back(tmp_path):
    arguments = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=r"^taken$"), alone(tmp_path, "taken"):
            pass
        other.kill()
    with alone(tmp_path, "taken"):
        pass


def test_a_folder_that_was_made_is_gone_where_nothing_was_left_in_it(tmp_path):
    with pytest.raises(KeyError), alone(tmp_path / "run", "taken"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("earlier", [True, False])
def test_a_folder_that_was_there_or_holds_something_stays(earlier, tmp_path):
    folder = tmp_path / "run"
    if earlier:
        folder.mkdir()
    with alone(folder, "taken"):
        if not earlier:
            (folder / "kept").touch()
    assert folder.is_dir()


def test_a_lock_that_cannot_be_made_is_an_error_of_its_own(tmp_path):
    (tmp_path / LOCK).mkdir()
    with pytest.raises(OSError, match=f"{LOCK} cannot be used"), alone(tmp_path, "taken"):
        pass
