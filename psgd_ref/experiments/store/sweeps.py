"""How the runs of a sweep ended: an SQLite file with a row for each, written when it ends, or not at all."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATABASE = "results.sqlite"

# `configuration` and `result` are JSON, which SQLite's own functions look into; `sha256` is that of a row's
# other columns but `finished`, since SQLite itself does not notice a number that changed on the disk.
SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    identity      TEXT PRIMARY KEY,
    configuration TEXT NOT NULL,
    code          TEXT NOT NULL,
    result        TEXT,
    error         TEXT,
    trace         TEXT,
    seconds       REAL,
    place         TEXT,
    sha256        TEXT NOT NULL,
    finished      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    CHECK ((result IS NULL) <> (error IS NULL))
)
"""


@dataclass(frozen=True)
class Entry:
    """How a run ended: a result, or an error in one line with its trace.

    Parameters
    ----------
    identity : str
        Of the run, 64 hexadecimal digits.
    configuration : str
        Canonical JSON of what the identity is made of.
    code : str
        Version of the code.
    result : dict, optional
        Accuracies (0 … 1) and last metrics.
    error, trace : str, optional
        Of a run that failed.
    seconds : float, optional
        That the run took.
    place : str, optional
        Computer and process.
    """

    identity: str
    configuration: str
    code: str
    result: dict[str, Any] | None = None
    error: str | None = None
    trace: str | None = None
    seconds: float | None = None
    place: str | None = None


COLUMNS = ("identity", "configuration", "code", "result", "error", "trace", "seconds", "place")
# Of SQLite's errors those that are the system's and not the file's: no rights, no space, another's lock.
SYSTEM = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
)


class RunStore:
    """The results in a folder; the file is created when it is not there.

    Parameters
    ----------
    folder : Path
        Made when it is not there.

    Raises
    ------
    ValueError
        Of every method, naming the file: it is damaged or no SQLite file of this package.
    OSError
        When the system refuses; the file is then as it was.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / DATABASE
        with self._errors():
            # Not in WAL mode, which file systems that several computers share do not have.
            self.connection = sqlite3.connect(self.path, timeout=60)
        try:
            with self._errors():
                found = self.connection.execute("PRAGMA integrity_check(1)").fetchone()
                if found != ("ok",):
                    raise sqlite3.DatabaseError(*found)
                with self.connection:
                    self.connection.execute(SCHEMA)
            self.entries(())
        except BaseException:
            self.connection.close()
            raise

    def record(self, entry: Entry) -> None:
        """Write a run down; on the disk when this returns."""
        values = {**vars(entry), "result": None if entry.result is None else json.dumps(entry.result)}
        # As SQLite gives them back.
        values["seconds"] = None if entry.seconds is None else float(entry.seconds)
        values["sha256"] = _checksum([values[name] for name in COLUMNS])
        names = ", ".join(values)
        with self._errors(), self.connection:
            self.connection.execute(
                f"INSERT INTO runs ({names}) VALUES ({', '.join(':' + name for name in values)})", values
            )

    def entries(self, identities: Iterable[str]) -> dict[str, Entry]:
        """What is known of these runs, by identity."""
        wanted = set(identities)
        with self._errors():
            rows = self.connection.execute(f"SELECT sha256, {', '.join(COLUMNS)} FROM runs").fetchall()
        entries = {}
        for checksum, *row in rows:
            if _checksum(row) != checksum:
                raise ValueError(f"{self.path} is damaged: run {row[0]} does not have its checksum")
            if row[0] in wanted:
                entry = dict(zip(COLUMNS, row, strict=True))
                result = None if entry["result"] is None else json.loads(entry["result"])
                entries[row[0]] = Entry(**{**entry, "result": result})
        return entries

    def forget_failures(self, identities: Iterable[str]) -> None:
        """Remove these runs where they failed, so that they are tried again."""
        with self._errors(), self.connection:
            self.connection.executemany(
                "DELETE FROM runs WHERE identity = ? AND error IS NOT NULL", [(i,) for i in identities]
            )

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """SQLite's errors as ours, in one line that names the file."""
        try:
            yield
        except sqlite3.IntegrityError:
            # A row that the schema forbids: our mistake, not the file's.
            raise
        except sqlite3.Error as error:
            kind = OSError if getattr(error, "sqlite_errorcode", 0) & 0xFF in SYSTEM else ValueError
            raise kind(f"{self.path} cannot be used: {' '.join(str(error).split())}") from None


def _checksum(row: list[Any]) -> str:
    return hashlib.sha256(repr(row).encode()).hexdigest()
