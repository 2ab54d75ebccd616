"""Every image says how large it is, so that a page does not move while its images load."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image
from sphinx.application import Sphinx

_IMAGE = re.compile(r'<img (?![^>]*\bwidth=)[^>]*\bsrc="([^"]+)"')


def _with_sizes(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give each image of the page its width and height in pixels; the style sheet keeps their ratio."""
    sources = {copied: original for original, copied in app.builder.images.items()}

    def sized(found: re.Match[str]) -> str:
        source = sources.get(PurePosixPath(found[1]).name)
        if source is None or not source.endswith(".png"):
            return found[0]
        with Image.open(Path(app.srcdir, source)) as image:
            return f'{found[0]} width="{image.width}" height="{image.height}"'

    if "body" in context:
        context["body"] = _IMAGE.sub(sized, context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register."""
    app.connect("html-page-context", _with_sizes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
