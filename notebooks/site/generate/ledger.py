"""The ledger as a table to search in: claim, statement, law, notebook, line of the source."""

import inspect
from collections.abc import Iterator
from pathlib import Path

from psgd_ref.laws import LEDGER, Claim

INTRODUCTION = """# The ledger

Every claim of the project: what it says, the law that tries it on random inputs, the place in the theory
where it is derived, and the line of the source where it is entered. `psgd-ref verify --claim B2` tries one.

<div class="filter">
<label for="claims">Show claims with</label>
<input type="search" id="claims">
<output for="claims">all claims</output>
</div>
<script type="module" src="_static/ledger.mjs"></script>

"""


def page(root: Path) -> str:
    """Markdown."""
    lines = ["| claim | statement | law | derived in | source |", "|---|---|---|---|---|"]
    for claim in LEDGER.values():
        notebook, _, anchor = claim.notebook.partition("#")
        file, line = _entry(root, claim)
        laws = ", ".join(f"[{name}](source:{where})" for name, where in _laws(root, claim))
        statement = f"**{_cell(claim.title)}.** {_cell(claim.statement)} (*{_cell(claim.source)}*)"
        if claim.truth != "holds":
            statement += f" **{claim.truth.capitalize()}.**"
        chapter = f"[{Path(notebook).stem}]({notebook}#{anchor})"
        where = f"[{Path(file).stem}:{line}](source:{file}#L{line})"
        lines.append(f"| [{claim.id}]({notebook}#{anchor}) | {statement} | {laws} | {chapter} | {where} |")
    return INTRODUCTION + "\n".join(lines) + "\n"


def _laws(root: Path, claim: Claim) -> Iterator[tuple[str, str]]:
    for prop in claim.properties:
        body = inspect.unwrap(prop.body)
        file = Path(inspect.getsourcefile(body) or "").relative_to(root)
        yield body.__name__, f"{file.as_posix()}#L{inspect.getsourcelines(body)[1]}"


def _entry(root: Path, claim: Claim) -> tuple[str, int]:
    """Where the claim is entered into the ledger."""
    for path in sorted((root / "psgd_ref/laws/chapters").glob(f"{claim.id[0].lower()}_*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip() == f'"{claim.id}",' or f'claim("{claim.id}"' in line:
                return path.relative_to(root).as_posix(), number
    raise ValueError(f"claim {claim.id} is entered in no chapter")


def _cell(text: str) -> str:
    for sign in "\\*_`[]":
        text = text.replace(sign, "\\" + sign)
    return text.replace("|", "\\|").replace("<", "&lt;")
