"""How the runs of a sweep ended: an SQLite file with a row for each, written when it ends, or not at all."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATABASE = "results.sqlite"

# `configuration` and `result` are JSON, which SQLite's own functions look into.
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


class RunStore:
    """The results in a folder; the file is created when it is not there.

    Parameters
    ----------
    folder : Path
        Made when it is not there.

    Raises
    ------
    ValueError
        When the file is no SQLite file.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / DATABASE
        # Not in WAL mode, which file systems that several computers share do not have.
        self.connection = sqlite3.connect(self.path, timeout=60)
        try:
            with self.connection:
                self.connection.execute(SCHEMA)
        except sqlite3.DatabaseError as error:
            raise ValueError(f"{self.path} cannot be used: {error}") from None

    def record(self, entry: Entry) -> None:
        """Write a run down; on the disk when this returns."""
        values = {**vars(entry), "result": None if entry.result is None else json.dumps(entry.result)}
        names = ", ".join(values)
        with self.connection:
            self.connection.execute(
                f"INSERT INTO runs ({names}) VALUES ({', '.join(':' + name for name in values)})", values
            )

    def entries(self, identities: Iterable[str]) -> dict[str, Entry]:
        """What is known of these runs, by identity."""
        wanted = set(identities)
        rows = self.connection.execute(
            "SELECT identity, configuration, code, result, error, trace, seconds, place FROM runs"
        )
        found = (Entry(*row) for row in rows if row[0] in wanted)
        return {e.identity: Entry(**{**vars(e), "result": _read(e.result)}) for e in found}

    def forget_failures(self, identities: Iterable[str]) -> None:
        """Remove these runs where they failed, so that they are tried again."""
        with self.connection:
            self.connection.executemany(
                "DELETE FROM runs WHERE identity = ? AND error IS NOT NULL", [(i,) for i in identities]
            )

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _read(result: Any) -> Any:
    return None if result is None else json.loads(result)
