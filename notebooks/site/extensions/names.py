"""Every claim, symbol, public name, file and command in running text becomes a link."""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from extensions.source_pages import ROOT, is_shown
from extensions.symbols import SYMBOLS, TEX
from psgd_ref.laws import LEDGER

CLAIM = re.compile(r"(?<![\w.+-])([A-I]\d{1,2})(?![\w.+])")
LETTER = r"A-Za-z_"
SYMBOL = re.compile(
    rf"(?<![{LETTER}\d’'])("
    + "|".join(map(re.escape, sorted(SYMBOLS, key=len, reverse=True)))
    + rf")(?![{LETTER}′⁺̄])"
)
NAME = re.compile(r"((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:\(.*\))?")
COMMAND = re.compile(r"psgd-ref ([a-z]+)")
# Inline code that is more often something else than our public name: an argument, a method of the reader's.
PLAIN = {"count", "data", "fit(w)", "grid", "main", "models", "relu", "report", "seed", "straight"}
CLOSED = nodes.reference | nodes.title | nodes.raw | nodes.literal_block | addnodes.pending_xref | nodes.math


class Linker:
    """Turns words of one page into links."""

    def __init__(self, app: Sphinx, page: str) -> None:
        self.app, self.page = app, page
        self.env: BuildEnvironment = app.env
        self.objects = app.env.domaindata["py"]["objects"]

    def run(self, document: nodes.document) -> None:
        for block in list(document.findall(_is_block)):
            seen: set[str] = set()
            for node in list(_own_words(block)):
                if isinstance(node, nodes.literal):
                    self._literal(node)
                elif isinstance(node, nodes.math):
                    self._formula(node, seen)
                else:
                    self._words(node, seen)

    def _link(
        self, page: str, anchor: str, words: list[nodes.Node], kind: str, title: str = ""
    ) -> nodes.reference:
        there = self.app.builder.get_relative_uri(self.page, page) if page != self.page else ""
        attributes = {"reftitle": title} if title else {}
        return nodes.reference(
            "",
            "",
            *words,
            refuri=f"{there}#{anchor}" if anchor else there,
            internal=True,
            classes=[kind],
            **attributes,
        )

    def _words(self, node: nodes.Text, seen: set[str]) -> None:
        text, parts, at = node.astext(), [], 0
        for match in sorted([*CLAIM.finditer(text), *SYMBOL.finditer(text)], key=lambda found: found.start()):
            word = match[1]
            link = self._claim(word) if word in LEDGER else self._symbol(word, seen)
            if link is not None:
                parts += [nodes.Text(text[at : match.start()]), link]
                at = match.end()
        if parts:
            parts.append(nodes.Text(text[at:]))
            node.parent.replace(node, [part for part in parts if part.astext()])

    def _claim(self, word: str) -> nodes.reference | None:
        if word not in LEDGER:
            return None
        page, _, anchor = LEDGER[word].notebook.partition("#")
        return self._link(
            page.removesuffix(".ipynb"), anchor, [nodes.Text(word)], "claim", LEDGER[word].title
        )

    def _symbol(self, word: str, seen: set[str]) -> nodes.reference | None:
        """The first time in a paragraph: a link at every letter would bury the text."""
        if word not in SYMBOLS or word in seen:
            return None
        seen.add(word)
        symbol = SYMBOLS[word]
        return self._link("theory/README", symbol.anchor, [nodes.Text(word)], "symbol", symbol.meaning)

    def _formula(self, node: nodes.math, seen: set[str]) -> None:
        word = TEX.get(node.astext().strip())
        if word is not None and word not in seen:
            link = self._symbol(word, seen)
            if link is not None:
                link.children.clear()
                node.replace_self(link)
                link += node

    def _literal(self, node: nodes.literal) -> None:
        text = node.astext()
        link = self._command(text) or self._file(text) or self._object(text)
        if link is not None:
            node.replace_self(link)
            link += node

    def _command(self, text: str) -> nodes.reference | None:
        match = COMMAND.match(text)
        known = match and f"psgd-ref-{match[1]}" in self.env.metadata.get("reference/commands", {}).get(
            "myst_slugs", {}
        )
        return (
            self._link("reference/commands", f"psgd-ref-{match[1]}", [], "command")
            if match and known
            else None
        )

    def _file(self, text: str) -> nodes.reference | None:
        if "/" not in text and not text.endswith(".py"):
            return None
        here = PurePosixPath(self.page).parent
        for start in (ROOT, ROOT / here, ROOT / "psgd_ref", ROOT / "psgd_ref/core"):
            path = (start / text).resolve()
            if is_shown(path):
                return nodes.reference(
                    "", "", refuri=f"source:{path.relative_to(ROOT).as_posix()}", internal=True
                )
        return None

    def _object(self, text: str) -> nodes.reference | None:
        match = NAME.fullmatch(text)
        if match is None or text in PLAIN:
            return None
        short = match[1].removeprefix("pr.").removeprefix("psgd_ref.")
        name = canonical(short) or self._by_end(match[1])
        found = self.objects.get(f"psgd_ref.{short}") or self.objects.get(name)
        return self._link(found.docname, found.node_id, [], "name", name) if found else None

    def _by_end(self, name: str) -> str:
        """The only object that ends so; of several the one with the shortest path, which a package offers."""
        first, *others = sorted(self._ends().get(name, [""]), key=lambda end: end.count("."))
        return "" if others and first.count(".") == others[0].count(".") else first

    def _ends(self) -> dict[str, list[str]]:
        """Full names by their last part (of what stands at the head of a module) and last two parts."""
        if not hasattr(self.env, "psgd_ends"):
            ends: dict[str, list[str]] = {}
            for name, found in self.objects.items():
                parts = name.split(".")
                if found.objtype in ("class", "function", "exception", "data"):
                    ends.setdefault(parts[-1], []).append(name)
                if found.objtype != "module":
                    ends.setdefault(".".join(parts[-2:]), []).append(name)
            self.env.psgd_ends = ends  # type: ignore[attr-defined]
        return self.env.psgd_ends  # type: ignore[attr-defined]


@cache
def canonical(name: str) -> str:
    """Where a name of the front door or of a package is defined, or nothing."""
    room, _, rest = name.rpartition(".")
    try:
        found = importlib.import_module(f"psgd_ref.{room}".rstrip("."))
    except ImportError:
        return ""
    if rest not in getattr(found, "__all__", ()):
        return ""
    value = getattr(found, rest)
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', rest)}"


def _is_block(node: nodes.Node) -> bool:
    blocks = nodes.paragraph | nodes.entry | nodes.term | nodes.list_item | nodes.definition | nodes.line
    return isinstance(node, blocks)


def _own_words(block: nodes.Node) -> Iterator[nodes.Node]:
    """Text, inline code and formulas of a block, not those of blocks in it or of links."""
    for child in block.children:
        if isinstance(child, nodes.literal | nodes.math | nodes.Text):
            yield child
        elif not isinstance(child, CLOSED) and not _is_block(child):
            yield from _own_words(child)


def _link_names(app: Sphinx, document: nodes.document, page: str) -> None:
    if app.builder.format == "html":
        Linker(app, page).run(document)


def _name_symbols(app: Sphinx, document: nodes.document) -> None:
    """Give each row of the map of symbols the name that links lead to."""
    if app.env.docname == "theory/README":
        anchors = {symbol.row: symbol.anchor for symbol in SYMBOLS.values()}
        for row in document.findall(nodes.row):
            anchor = anchors.get(row[0].astext().strip()) if len(row) else None
            if anchor:
                row["ids"].append(anchor)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("doctree-read", _name_symbols)
    app.connect("doctree-resolved", _link_names)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
