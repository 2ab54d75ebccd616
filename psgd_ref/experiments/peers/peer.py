"""The near side of a peer: starts its process, calls it, and ends it when its time is over."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import IO, Any, Self

from psgd_ref.experiments.peers import worker
from psgd_ref.experiments.peers.worker import first_line, receive, send
from psgd_ref.experiments.shared.workers import THREAD_VARIABLES

_HERE = Path(__file__).parent
_PACKAGE = _HERE.parents[1]


class PeerError(Exception):
    """A call that was not answered: what the peer raised, how it ended, or that it took too long."""


class Peer:
    """A process that runs a family's functions in the family's environment; use it in a `with` block.

    Parameters
    ----------
    python
        Interpreter of the environment.
    module
        The family's.
    seconds
        Time for the whole of it, from the start; then it is killed.
    """

    def __init__(self, python: Path, module: str, seconds: float) -> None:
        self.python, self.module, self.seconds = python, module, seconds
        self._late = False

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            _lay_out(folder)
            self._said: IO[bytes] = stack.enter_context(open(folder / "said.txt", "w+b"))
            self._process = subprocess.Popen(
                [self.python, "-W", "ignore", "-m", worker.__name__, self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                cwd=folder,
                env=_variables(folder),
            )
            stack.callback(self._end)
            self._timer = Timer(self.seconds, self._give_up)
            self._timer.daemon = True
            self._timer.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __call__(self, call: str, arrays: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """What the function returned: arrays and plain values by name.

        Raises
        ------
        PeerError
            That says in words why there is nothing.
        """
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            send(process.stdin, {"call": call, "options": options}, arrays)
            message, found = receive(process.stdout)
        except (EOFError, OSError):
            raise PeerError(self._why()) from None
        if "error" in message:
            raise PeerError(message["error"])
        return {**message, **found}

    @property
    def ended(self) -> bool:
        """Whether the process is gone, so that it answers no more."""
        return self._process.poll() is not None

    def _why(self) -> str:
        status = self._process.wait()
        if self._late:
            return f"no answer within {self.seconds:.0f} s"
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        how = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{how}: {first_line(lines[-1])}" if lines else how

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()

    def _end(self) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):  # what was still to be sent goes nowhere
                stream.close()


def _lay_out(folder: Path) -> None:
    """Copy what the worker stands on, and nothing else of this package, to where it finds it."""
    place = folder / _PACKAGE.name
    for source in (_PACKAGE, _HERE.parent):
        target = place / source.relative_to(_PACKAGE)
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "__init__.py", target)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_HERE, place / _HERE.relative_to(_PACKAGE), ignore=ignored)


def _variables(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    one = dict.fromkeys(THREAD_VARIABLES, "1")
    # Fresh compilations of a library must not fill the home folder, nor wait for a GPU that is not there.
    return kept | one | {"PYTHONPATH": str(folder), "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
