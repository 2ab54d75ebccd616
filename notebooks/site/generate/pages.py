"""All pages that are made from code, by name."""

from pathlib import Path

from generate import commands, ledger, methods, reference


def all_pages(root: Path) -> dict[str, str]:
    """Markdown and reStructuredText by file name, relative to the site's source."""
    return {
        "ledger.md": ledger.page(root),
        "reference/commands.md": commands.page(),
        **reference.pages(root),
        **methods.pages(root),
    }
