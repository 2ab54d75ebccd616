"""What a search for hyper-parameters leaves: a JSON file in this package, read by what it chose for."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

from psgd_ref.interop.whole_file import write_json

Options = dict[str, Any]


def save_record(record: dict[str, Any], folder: Path, file: str) -> Path:
    """Write a search's record into `folder` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    write_json(path, record)
    return path


def read_record(file: str) -> dict[str, Any]:
    """The committed record of that name."""
    text = resources.files(__package__).joinpath(file).read_text("utf-8")
    record: dict[str, Any] = json.loads(text)
    return record


def chosen(file: str) -> dict[str, Options]:
    """The hyper-parameters that the committed record of that name chose, by method."""
    options: dict[str, Options] = read_record(file)["chosen"]
    return options
