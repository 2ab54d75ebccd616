"""What is ours in docstrings: the section Source, which becomes a part of the notes, and plain signs in formulas."""

import re
from typing import Any

from numpydoc.docscrape import NumpyDocString
from sphinx.application import Sphinx

SIGNS = re.compile(r"\||(?<=.)\*|(?<=\w)_(?!\w)")
HEAD = re.compile(r"^\s*-{3,}\s*$")


def _source(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    heads = [k - 1 for k, line in enumerate(lines) if HEAD.match(line) and k > 0]
    at = next((k for k in heads if lines[k].strip() == "Source"), None)
    if at is not None:
        end = min((k for k in heads if k > at), default=len(lines))
        words = lines[at + 2 : end]
        del lines[at:end]
        later = next((k for k, line in enumerate(lines) if line.strip() == "Examples"), len(lines))
        lines[later:later] = ["", "Notes", "-----", f"**Source.** {words[0].strip()}", *words[1:], ""]


def _plain(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Bars, stars and low lines mean nothing here outside code: |w| is a distance."""
    example = False
    for k, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            parts = re.split(r"(`[^`]*`|\*\*Source\.\*\*)", line)
            parts[::2] = [SIGNS.sub(r"\\\g<0>", part) for part in parts[::2]]
            lines[k] = "".join(parts)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    NumpyDocString.sections["Source"] = ""
    # Before numpydoc reads them.
    app.connect("autodoc-process-docstring", _source, priority=100)
    app.connect("autodoc-process-docstring", _plain, priority=200)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
