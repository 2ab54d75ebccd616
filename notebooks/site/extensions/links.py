"""Links to files and folders of the project lead to pages; one that leads nowhere fails the build."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

from extensions.source_pages import ROOT, is_shown, page_of

LOGGER = logging.getLogger(__name__)


def _files(app: Sphinx, document: nodes.document) -> None:
    """A link to a source file or folder becomes one to its page."""
    here = Path(app.env.docname).parent
    for node in [*document.findall(addnodes.download_reference), *document.findall(addnodes.pending_xref)]:
        if isinstance(node, addnodes.pending_xref) and node.get("reftype") != "myst":
            continue
        target, anchor = urldefrag(unquote(node["reftarget"]))
        path = (ROOT / here / target).resolve()
        # A folder whose README is a page is that page.
        if not target or not (
            is_shown(path) and (path.is_dir() or isinstance(node, addnodes.download_reference))
        ):
            continue
        address = f"source:{path.relative_to(ROOT).as_posix()}" + (f"#{anchor}" if anchor else "")
        node.replace_self(nodes.reference("", "", *node.children, refuri=address, internal=True))


def _resolve(app: Sphinx, document: nodes.document, page: str) -> None:
    for node in document.findall(nodes.reference):
        address = node.get("refuri", "")
        if address.startswith("source:"):
            target, anchor = urldefrag(address.removeprefix("source:"))
            there = app.builder.get_relative_uri(page, page_of(ROOT / target))
            node["refuri"] = there + (f"#{anchor}" if anchor else "")
            node["internal"] = True


class _Page(HTMLParser):
    """The names and the links of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.names.add(value)
            elif name in ("href", "src") and value and not (tag == "link" and name == "rel"):
                self.links.add(value)


def broken(folder: Path) -> list[str]:
    """The links of a built site that lead nowhere, or to another machine without being a plain reference."""
    pages = {
        path.resolve(): _Page(path.read_text(encoding="utf-8"))
        for path in folder.rglob("*.html")
        if path.parts[len(folder.parts)] != "_static"
    }
    found = []
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:|//", link):
                continue
            target, anchor = urldefrag(unquote(link))
            there = (path.parent / target.partition("?")[0]).resolve() if target else path
            if not there.exists():
                found.append(f"{path.relative_to(folder)}: {link}")
            elif anchor and there in pages and anchor not in pages[there].names:
                found.append(f"{path.relative_to(folder)}: {link}, where the page has no such place")
    return sorted(found)


def _check(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.name == "html":
        for line in broken(Path(app.outdir).resolve()):
            LOGGER.warning("broken link in %s", line, type="links")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    # Before the files of download links are gathered.
    app.connect("doctree-read", _files, priority=100)
    app.connect("doctree-resolved", _resolve, priority=900)
    app.connect("build-finished", _check, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
