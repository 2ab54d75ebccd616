"""Files that are there whole or not at all, whatever ends the process while they are written."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, which takes its place at the end and is removed on an error.

    Its content is forced to the disk before the rename, which is atomic, and the rename after it.
    FileNotFoundError when there is no folder for it.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    beside = path.with_name(path.name + ".tmp")
    try:
        yield beside
        _force(beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    # Only POSIX can open a folder, and only there does a rename need it to survive a loss of power.
    if os.name == "posix":
        _force(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, one entry a line."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def _force(path: Path) -> None:
    # Windows forces only what is open for writing.
    number = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
