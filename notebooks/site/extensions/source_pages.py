"""A page for each source file, with a name for every line, so that a link can lead to one."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[3]
FOLDERS = ("psgd_ref", "tests", "findings", "notebooks", "theory")
SHOWN = (".py", ".sh", ".toml", ".txt", ".h", ".c")
HIDDEN = {"site", "__pycache__"}


def is_shown(path: Path) -> bool:
    """Whether a file or folder of the project has a page of its own."""
    if not path.exists() or ROOT not in path.parents:
        return False
    parts = path.relative_to(ROOT).parts
    return parts[0] in FOLDERS and not HIDDEN & set(parts) and (path.is_dir() or path.suffix in SHOWN)


def page_of(path: Path) -> str:
    """The page of a file or folder."""
    name = path.relative_to(ROOT).as_posix()
    return f"source/{name}/index" if path.is_dir() else f"source/{name}"


def address_of(module: str, name: str) -> str | None:
    """`source:file#Lnumber` of an object."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    found = inspect.unwrap(getattr(found, "fget", found))
    found = getattr(found, "py_func", found)
    try:
        file, line = inspect.getsourcefile(found), inspect.getsourcelines(found)[1]
    except (TypeError, OSError):
        there = importlib.import_module(module)
        file, line = there.__file__, _assigned(there, name)
    path = Path(file or "")
    return f"source:{path.relative_to(ROOT).as_posix()}#L{line}" if ROOT in path.parents else None


def _assigned(module: ModuleType, name: str) -> int:
    lines = inspect.getsource(module).splitlines()
    starts = (f"{name.rpartition('.')[2]} =", f"{name.rpartition('.')[2]}:")
    return next((k for k, line in enumerate(lines, 1) if line.strip().startswith(starts)), 1)


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    formatter = HtmlFormatter(linenos="inline", anchorlinenos=True, lineanchors="L", wrapcode=True)
    for folder in FOLDERS:
        for path in sorted([ROOT / folder, *(ROOT / folder).rglob("*")]):
            if not is_shown(path):
                continue
            name = path.relative_to(ROOT).as_posix()
            body = _listing(path) if path.is_dir() else _code(path, formatter)
            context = {
                "title": name,
                "body": f"<h1><code>{name}</code></h1>\n{body}",
                "parents": _parents(app, path),
            }
            yield page_of(path), context, "page.html"


def _parents(app: Sphinx, path: Path) -> list[dict[str, str]]:
    above = [p for p in reversed(path.parents) if ROOT in p.parents]
    page = page_of(path)
    return [{"link": app.builder.get_relative_uri(page, page_of(p)), "title": p.name} for p in above]


def _code(path: Path, formatter: HtmlFormatter) -> str:
    text = path.read_text(encoding="utf-8")
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    # "L-12" is Pygments' way, "L12" is ours.
    code = highlight(text, lexer, formatter).replace('id="L-', 'id="L').replace('href="#L-', 'href="#L')
    code = code.replace('<a id="L', '<a tabindex="-1" id="L').replace("<pre>", '<pre tabindex="0">', 1)
    return code.replace("<a href", '<a tabindex="-1" href')


def _listing(path: Path) -> str:
    lines = []
    for entry in sorted(path.iterdir(), key=lambda entry: (entry.is_file(), entry.name)):
        if is_shown(entry):
            target = f"{entry.name}/index.html" if entry.is_dir() else f"{entry.name}.html"
            lines.append(f'<li><a href="{target}"><code>{entry.name}</code></a> {_first_line(entry)}</li>')
    return f"<ul>{''.join(lines)}</ul>"


def _first_line(path: Path) -> str:
    file = path / "__init__.py" if path.is_dir() else path
    if file.suffix != ".py" or not file.exists():
        return ""
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    text = first.strip('r"')
    return text.replace("&", "&amp;").replace("<", "&lt;") if first.lstrip("r").startswith('"""') else ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("html-collect-pages", _pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
