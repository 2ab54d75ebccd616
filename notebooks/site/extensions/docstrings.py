"""What is ours in docstrings: the section Source, which becomes a note, and plain signs in formulas."""

import re
from typing import Any

from docutils import nodes
from numpy.typing import ArrayLike
from numpydoc.docscrape import NumpyDocString
from sphinx.application import Sphinx
from sphinx.util.typing import stringify_annotation

from psgd_ref.core.arguments import Array

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


def _types(
    app: Sphinx, what: str, name: str, obj: object, options: object, sign: str | None, gives: str | None
) -> tuple[str | None, str | None]:
    """NumPy's types by the names that they have in the code."""
    return _renamed(sign), _renamed(gives)


def _renamed(text: str | None) -> str | None:
    for mode in ("fully-qualified-except-typing", "smart", "fully-qualified"):
        for kind, name in ((ArrayLike, "ArrayLike"), (Array, "Array")):
            text = text and text.replace(stringify_annotation(kind, mode), name)
    return text


def _unfinished(app: Sphinx, document: nodes.document) -> None:
    """What is only a term, as "Shape of w." below Returns, is a paragraph and no list of definitions."""
    for found in list(document.findall(nodes.definition_list)):
        if not any(item.astext() for item in found.findall(nodes.definition)):
            terms = found.findall(nodes.term)
            found.replace_self([nodes.paragraph("", "", *term.children) for term in terms])


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    NumpyDocString.sections["Source"] = ""
    app.connect("autodoc-process-signature", _types)
    app.connect("doctree-read", _unfinished)
    # Before numpydoc reads them.
    app.connect("autodoc-process-docstring", _source, priority=100)
    app.connect("autodoc-process-docstring", _plain, priority=200)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
