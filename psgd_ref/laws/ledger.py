"""The ledger: every claim of this project, numbered, with its statement, its source and its law."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Trial

Law = Callable[[Subject, Trial], None]
Truth = Literal["holds", "refuted"]

NOTEBOOKS = {
    "A": "theory/01_warp.ipynb",
    "B": "theory/02_flow.ipynb",
    "C": "theory/03_volume.ipynb",
    "D": "theory/04_convergence.ipynb",
    "E": "theory/05_clustering.ipynb",
    "F": "theory/06_sharpness.ipynb",
    "G": "theory/07_pruning.ipynb",
    "H": "theory/08_quantizers.ipynb",
    "I": "theory/09_batch_norm.ipynb",
}


@dataclass(frozen=True)
class Claim:
    """One entry of the ledger.

    id        : chapter letter and number, "B2"
    title     : a few words
    statement : one sentence and the formula
    source    : "paper" with its equation, "review", or "ours"
    truth     : "holds", or "refuted" for a claim kept with its counter-example
    law       : function of a subject and a trial that raises LawBroken where the ledger is contradicted
    tests     : the parts of a subject that the law puts to the test, by field name
    needs     : the parts that may be missing, without which the claim cannot be checked in full
    """

    id: str
    title: str
    statement: str
    source: str
    truth: Truth
    law: Law
    tests: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def notebook(self) -> str:
        """Where the claim is derived and shown, as file#anchor."""
        return f"{NOTEBOOKS[self.id[0]]}#{self.id}"


_claims: dict[str, Claim] = {}
LEDGER: Mapping[str, Claim] = MappingProxyType(_claims)


def claim(
    id: str,
    title: str,
    statement: str,
    *,
    source: str = "ours",
    truth: Truth = "holds",
    tests: tuple[str, ...],
    needs: tuple[str, ...] = (),
) -> Callable[[Law], Law]:
    """Decorator: enter a law into the ledger; the function itself is returned unchanged."""

    def enter(law: Law) -> Law:
        if id in _claims:
            raise ValueError(f"claim {id} is in the ledger already")
        _claims[id] = Claim(id, title, statement, source, truth, law, tests, needs)
        return law

    return enter


def ledger_table() -> str:
    """The ledger as a Markdown table, the one that theory/README.md carries."""
    rows = ["| claim | title | statement | source | truth |", "|---|---|---|---|---|"]
    for entry in LEDGER.values():
        link = f"[{entry.id}]({entry.notebook.removeprefix('theory/')})"
        statement = entry.statement.replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| {link} | {entry.title} | {statement} | {entry.source} | {entry.truth} |")
    return "\n".join(rows) + "\n"
