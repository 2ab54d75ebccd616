"""Compiled kernels on the disk: one file each with its checksum, read wherever it may be read.

Numba's own cache fails on a damaged file, runs machine code in which a bit has changed, and does not read
a folder that it cannot write. This one stands in its place, and holds what Numba would hold.
"""

import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

CHECKSUM = hashlib.sha256().digest_size


def can_be_kept(function: Callable[..., Any]) -> bool:
    """Whether a source file says all that the function does: it has one, and takes nothing from a closure."""
    return function.__closure__ is None and Path(function.__code__.co_filename).is_file()


class FileCache:
    """What a dispatcher of Numba's asks as its `_cache`, for one function.

    Parameters
    ----------
    function
        One whose code `can_be_kept`, and that calls kernels only.
    folder
        For exactly these kernels on this computer (`compile.CACHE`), so that a file there is never stale.
        What is missing, damaged, or of another signature is answered by None: compile anew.
    """

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self.name, self.folder = function.__name__, folder
        source = hashlib.sha256(Path(function.__code__.co_filename).read_bytes()).hexdigest()
        self.about = (function.__module__, function.__qualname__, source)

    @property
    def cache_path(self) -> str:
        """The folder, for Numba's statistics."""
        return str(self.folder)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function of that signature, or None."""
        target.refresh()
        try:
            content = self._path(signature, target.codegen()).read_bytes()
        except OSError:
            return None
        checksum, payload = content[:CHECKSUM], content[CHECKSUM:]
        if hashlib.sha256(payload).digest() != checksum:
            return None
        return CompileResult._rebuild(target, *pickle.loads(payload))

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled function, if the folder can be written."""
        if result.lifted or result.library.has_dynamic_globals:
            # Parts of it lie in this process's memory.
            return
        payload = dumps(result._reduce())
        path = self._path(signature, result.codegen)
        beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            beside.write_bytes(hashlib.sha256(payload).digest() + payload)
            beside.replace(path)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)

    def _path(self, signature: Any, codegen: Any) -> Path:
        about = hashlib.sha256(repr((self.about, signature, codegen.magic_tuple())).encode())
        return self.folder / f"{self.name}-{about.hexdigest()[:16]}.nbc"
