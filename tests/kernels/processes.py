"""Run a piece of Python in a process of its own, with its own settings."""

import os
import subprocess
import sys


def run_python(code, folder=None, **settings):
    """The finished process of `code`, run in this folder with these environment variables."""
    environment = {**os.environ, **{name: str(value) for name, value in settings.items()}}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
