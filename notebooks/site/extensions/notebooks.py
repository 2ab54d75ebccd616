"""What Sphinx misses in our notebooks and tables: anchors, titles, the order of pages, words for pictures."""

import re
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ANCHOR = re.compile(r'<a id="([^"]+)">')
# The pages below a page, in their order; one that is nowhere else belongs to the how-to, or with the results.
COURSE = ("notebooks/README", re.compile(r"notebooks/(\d\d_\w+|authors_checkpoint)"))
THEORY = ("theory/README", re.compile(r"theory/(?!README)\w+"))
HOW_TO = (
    "notebooks/howto",
    re.compile(r"notebooks/(?!README|howto|results|benchmarks)\w+|notebooks/(peers|runtimes)/\w+"),
)
RESULTS = ("notebooks/results", re.compile(r"notebooks/(?!README|howto).+"))
CHAPTERS = (COURSE, THEORY, HOW_TO, RESULTS)


def _below(page: str, pages: set[str]) -> list[str]:
    """The pages that belong to a chapter and to none before it."""
    left = sorted(pages - {chapter for chapter, _ in CHAPTERS})
    for chapter, pattern in CHAPTERS:
        found = [name for name in left if pattern.fullmatch(name)]
        if chapter == page:
            return found
        left = [name for name in left if name not in found]
    return []


def _read(app: Sphinx, page: str, content: list[str]) -> None:
    """Tables get a title, and the pages that open a chapter a list of what is in it."""
    # Where pages of the site alone stand in the checkout, they do not stand here.
    text = content[0] = content[0].replace("(notebooks/site/pages/", "(")
    if not page.startswith(("notebooks/", "theory/")) or text.startswith("{"):
        return
    if not re.search(r"^# ", text, re.MULTILINE):
        folders = PurePosixPath(page).parent.parts[1:]
        text = f"# Table: {', '.join(folders)}\n\n{text}"
    if below := _below(page, set(app.env.found_docs)):
        names = "\n".join(f"/{name}" for name in below)
        text += f"\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    content[0] = text


def _anchors(app: Sphinx, document: nodes.document) -> None:
    """Make `<a id="E1"></a>` known as a place that other pages link to."""
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for raw in document.findall(nodes.raw):
        for name in ANCHOR.findall(raw.astext()):
            slugs[name] = (raw.line or 0, name, name)
    for node in list(document.findall(addnodes.pending_xref)):
        if node.get("reftype") == "myst" and node["reftarget"] in slugs:
            node.replace_self(nodes.reference("", "", *node.children, refid=node["reftarget"], internal=True))


def _captions(app: Sphinx, document: nodes.document) -> None:
    """Say what a picture shows: our notebooks have it in italics below."""
    last: list[nodes.image] = []
    for node in document.findall():
        if isinstance(node, nodes.image) and not node.get("alt"):
            last.append(node)
        elif isinstance(node, nodes.paragraph) and last:
            if any(isinstance(child, nodes.emphasis) for child in node.children):
                _describe(last, node.astext())
            last = []
    for image in document.findall(nodes.image):
        if not image.get("alt"):
            image["alt"] = "figure that the code above draws"


def _describe(images: list[nodes.image], text: str) -> None:
    for image in images:
        image["alt"] = " ".join(text.split())[:300]


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    app.connect("doctree-read", _anchors)
    app.connect("doctree-read", _captions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
