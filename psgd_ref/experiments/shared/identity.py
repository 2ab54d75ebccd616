"""What makes a result known again: the hash of its configuration and of the code that computes it."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from psgd_ref import __version__

PACKAGE = Path(__file__).parents[2]
# Folders whose code prints, draws or checks numbers that other code has computed.
SILENT = ("commands", "figures", "laws")


def identity(configuration: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical configuration and the code version, 64 hexadecimal digits.

    The order of keys, 1 against 1.0 and a tuple against a list make no difference; true and 1 are two.
    configuration : of texts, finite numbers, booleans, None, lists and mappings of these with texts as
                    keys; anything else is a ValueError
    """
    return hashlib.sha256(f"{code_version()} {canonical(configuration)}".encode()).hexdigest()


def canonical(configuration: Mapping[str, Any]) -> str:
    """The one text that equal configurations share: JSON with sorted keys and shortest numbers."""
    return json.dumps(_plain(configuration), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@cache
def code_version() -> str:
    """The package's version and a hash of its sources, those that only print or draw left out."""
    digest = hashlib.sha256()
    for path in _sources():
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _sources() -> Iterator[Path]:
    """Every source of the package on which a number may depend, in an order of their own."""
    for path in sorted(PACKAGE.rglob("*.py")):
        folder, *rest = path.relative_to(PACKAGE).parts
        if rest and folder not in SILENT:
            yield path


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | str() | int():
            return value
        case float() if isfinite(value):
            return int(value) if value.is_integer() else value
        case list() | tuple():
            return [_plain(part) for part in value]
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: _plain(part) for key, part in value.items()}
    raise ValueError(
        "a configuration holds texts, finite numbers, booleans, None, lists and mappings by text; "
        f"got {value!r}"
    )
