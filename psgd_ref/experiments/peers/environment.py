"""An environment for each family's packages, in the user's cache: made once, found by what is pinned."""

import hashlib
import json
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from psgd_ref.experiments.peers.worker import first_line
from psgd_ref.interop.whole_file import write_json
from psgd_ref.kernels.user_folder import user_cache

# Seconds for a download of some gigabytes.
PATIENCE = 3600.0
_VERSIONS = "versions.json"
# All versions that there are, by the dozen.
_LISTS = ("ERROR: Ignored the following", "ERROR: Could not find a version")


class CannotInstallError(Exception):
    """An environment that could not be made; the message is pip's."""


def environment(requirements: Sequence[str]) -> Path:
    """The folder of the environment with these packages, made unless it is there.

    Families with the same pins share one.

    Raises
    ------
    CannotInstallError
        When pip fails; nothing is left behind.
    """
    key = json.dumps([sorted(requirements), platform.python_version(), platform.machine()])
    folder = user_cache() / "peers" / hashlib.sha256(key.encode()).hexdigest()[:12]
    if (folder / _VERSIONS).exists():
        return folder
    # Left by a process that was killed: without its versions it is not whole.
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _made(folder)
        _pip(folder, "install", "--quiet", *requirements)
        listed = json.loads(_pip(folder, "list", "--format=json"))
        write_json(folder / _VERSIONS, {package["name"]: package["version"] for package in listed})
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def versions(folder: Path) -> dict[str, str]:
    """Versions of all packages of an environment, by name."""
    found: dict[str, str] = json.loads((folder / _VERSIONS).read_text(encoding="utf-8"))
    return found


def python(folder: Path) -> Path:
    """The interpreter of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _made(folder: Path) -> None:
    try:
        venv.create(folder, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotInstallError(f"there can be no environment: {first_line(error)}") from None


def _pip(folder: Path, *words: str) -> str:
    command = [str(python(folder)), "-m", "pip", *words, "--disable-pip-version-check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise CannotInstallError(f"pip was not done after {PATIENCE:.0f} s") from None
    if done.returncode:
        raise CannotInstallError(reason(done.stderr))
    return done.stdout


def reason(said: str) -> str:
    """Why pip failed: its first error that is no list of versions, or else the last line."""
    lines = said.splitlines()
    errors = [line for line in lines if line.startswith("ERROR") and not line.startswith(_LISTS)]
    return first_line("\n".join(errors or reversed(lines))) or "pip failed"
