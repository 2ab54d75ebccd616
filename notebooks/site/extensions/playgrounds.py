"""The data of the playgrounds, beside their scripts."""

import json
import shutil
from pathlib import Path
from typing import Any

from generate import quantizers
from sphinx.application import Sphinx

from extensions.source_pages import ROOT


def _data(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static/playgrounds"
        shutil.copy(ROOT / "notebooks/demo/rounding.json", folder)
        (folder / "quantizers.json").write_text(json.dumps(quantizers.records(ROOT)), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("build-finished", _data)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
