"""What makes a result known again: the hash of its configuration and of the code that computes it.

The code is that which the computation reaches, wherever its files lie (`sources`): moving a file, a comment
or a docstring leaves an identity as it is, another formula changes it. Data files do not enter: what is read
of them belongs into the configuration.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from psgd_ref import __version__
from psgd_ref.experiments.store.sources import Sources

SOURCES = Sources(Path(__file__).parents[2])


def identity(configuration: Mapping[str, Any], entry: str) -> str:
    """SHA-256 of the canonical configuration and the code version, 64 hexadecimal digits.

    The order of keys, 1 against 1.0 and a tuple against a list make no difference; true and 1 are two.

    Parameters
    ----------
    configuration : mapping
        Of texts, finite numbers, booleans, None, lists and mappings of these with texts as keys.
    entry : str
        The module whose function computes the result.

    Raises
    ------
    ValueError
        For anything else in the configuration.
    """
    return hashlib.sha256(f"{code_version(entry)} {canonical(configuration)}".encode()).hexdigest()


def canonical(configuration: Mapping[str, Any]) -> str:
    """The one text that equal configurations share: JSON with sorted keys and shortest numbers."""
    return json.dumps(_plain(configuration), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@cache
def code_version(entry: str) -> str:
    """The package's version and a hash of the sources that a module computes with."""
    return f"{__version__}+{SOURCES.version(entry)[:12]}"


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
