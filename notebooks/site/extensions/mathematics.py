"""Formulas are set by KaTeX while the site is built: pages carry the result, and no script touches them."""

import json
import shutil
import subprocess
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
HERE = Path(__file__).parent.parent
# Fonts that nearly every formula needs are asked for at once, so that nothing moves when they arrive.
FONTS = ("KaTeX_Main-Regular", "KaTeX_Math-Italic", "KaTeX_Main-Bold", "KaTeX_Size1-Regular")


class Setter:
    """A running KaTeX, asked one formula at a time; what was asked before is remembered."""

    def __init__(self, npm: Path) -> None:
        self.npm = npm
        self.process: subprocess.Popen[str] | None = None
        self.known: dict[tuple[str, bool], dict[str, str]] = {}

    def set(self, tex: str, display: bool) -> dict[str, str]:
        """{"html": …} or {"error": …}."""
        if (tex, display) not in self.known:
            self.known[tex, display] = self._ask({"tex": tex, "display": display})
        return self.known[tex, display]

    def _ask(self, question: dict[str, Any]) -> dict[str, str]:
        if self.process is None:
            words = [_node(), str(HERE / "katex.mjs"), str(self.npm / "package.json")]
            self.process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise ExtensionError("KaTeX ended; is Node.js there?")
        return dict(json.loads(answer))


def _node() -> str:
    import sys

    beside = Path(sys.executable).with_name("node")
    return str(beside) if beside.exists() else shutil.which("node") or "node"


@cache
def _setter(npm: str) -> Setter:
    return Setter(Path(npm))


def set_formula(app: Sphinx, tex: str, display: bool, where: nodes.Node | None = None) -> str:
    """HTML of a formula; one that KaTeX refuses is a warning, and so fails the build."""
    answer = _setter(app.config.psgd_npm).set(tex, display)
    if "error" in answer:
        LOGGER.warning("%s in %r", unescape(answer["error"]), tex, location=where, type="math")
        return f"<code>{tex}</code>"
    return answer["html"]


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(set_formula(self.builder.app, node.astext(), False, node))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    tex = node.astext()
    if "\\\\" in tex and "\\begin" not in tex:
        tex = f"\\begin{{aligned}}{tex}\\end{{aligned}}"
    self.body.append(self.starttag(node, "div", CLASS="math notranslate", tabindex="0"))
    self.body.append(set_formula(self.builder.app, tex, True, node))
    self.body.append("</div>\n")
    raise nodes.SkipNode


def _assets(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        dist = Path(app.config.psgd_npm) / "node_modules/katex/dist"
        target = Path(app.outdir) / "_static/katex"
        (target / "fonts").mkdir(parents=True, exist_ok=True)
        shutil.copy(dist / "katex.min.css", target)
        for font in (dist / "fonts").glob("*.woff2"):
            shutil.copy(font, target / "fonts")


def _preload(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if doctree is not None and any(True for _ in doctree.findall(_is_math)):
        path = context["pathto"]
        links = (
            f'<link rel="preload" as="font" type="font/woff2" crossorigin '
            f'href="{path(f"_static/katex/fonts/{font}.woff2", 1)}">'
            for font in FONTS
        )
        context["metatags"] = context.get("metatags", "") + "\n".join(links)


def _is_math(node: nodes.Node) -> bool:
    return isinstance(node, nodes.math | nodes.math_block)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_config_value("psgd_npm", "", "env", types=(str,))
    app.add_config_value("psgd_code", "", "env", types=(str,))
    app.add_html_math_renderer("psgd", (_inline, None), (_block, None))
    app.config["html_math_renderer"] = "psgd"
    app.connect("build-finished", _assets)
    app.connect("html-page-context", _preload)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": False}
