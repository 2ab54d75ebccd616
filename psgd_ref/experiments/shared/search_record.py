"""What a search for hyper-parameters leaves: a JSON file in this package, read by what it chose for."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

from psgd_ref.interop.whole_file import write_json

# Beside the code that reads it.
FILE = "chosen.json"

Options = dict[str, Any]


def save_record(record: dict[str, Any], folder: Path) -> Path:
    """Write a search's record into `folder` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    write_json(path, record)
    return path


def read_record(package: str) -> dict[str, Any]:
    """The committed record of the package whose experiments it was made for."""
    text = resources.files(package).joinpath(FILE).read_text("utf-8")
    record: dict[str, Any] = json.loads(text)
    return record


def chosen(package: str) -> dict[str, Options]:
    """The hyper-parameters that the committed record of that package chose, by method."""
    options: dict[str, Options] = read_record(package)["chosen"]
    return options
