"""A folder that one process at a time works in."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

LOCK = "running.sqlite"


@contextmanager
def alone(folder: Path, refusal: str) -> Iterator[None]:
    """Hold the folder against every other process that asks for the same. Creates it.

    The lock is SQLite's on a file in the folder: it ends with its process, however that ends, and holds
    where computers share the folder. A folder that was created and in which nothing was left is gone after.

    Raises
    ------
    ValueError
        With the text `refusal`, when another process has the folder.
    OSError
        When the folder cannot be used.
    """
    created = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    try:
        lock = sqlite3.connect(path, timeout=0, isolation_level=None)
    except sqlite3.Error as error:
        raise OSError(f"{path} cannot be used: {error}") from None
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise ValueError(refusal) from None
            raise OSError(f"{path} cannot be used: {error}") from None
        try:
            yield
        finally:
            # While it is held: whoever opens it now is refused. (Windows keeps a file that is open.)
            if created:
                _remove_if_unused(folder)


def _remove_if_unused(folder: Path) -> None:
    """Remove a folder that holds no more than the lock, and what SQLite keeps beside it."""
    with suppress(OSError):
        left = list(folder.iterdir())
        if all(entry.name.startswith(LOCK) for entry in left):
            for entry in left:
                entry.unlink()
            folder.rmdir()
