"""The ledger: every claim of this project, numbered, with its statement, its source and its law."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from hypothesis.strategies import SearchStrategy

from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.trial import Body, Inputs, LawBrokenError, Property, Trial

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


@dataclass(frozen=True, eq=False)
class Claim:
    """One entry of the ledger: a statement and the properties that test it, together its law.

    Parameters
    ----------
    id
        Chapter letter and number, "B2".
    title
        A few words.
    statement
        One sentence with its formula and all that it assumes.
    source
        "paper" with its equation, "review", or "ours".
    truth
        "holds", or "refuted" for a claim kept with its counter-example.
    tests
        The parts of a subject that the law puts to the test, by field name.
    needs
        The parts that may be missing, without which the claim cannot be checked in full.
    each
        Whether every property is reported by itself, so that one that fails does not hide the others.
    """

    id: str
    title: str
    statement: str
    source: str = "ours"
    truth: Truth = "holds"
    tests: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    each: bool = False
    properties: list[Property] = field(default_factory=list, repr=False)

    @property
    def notebook(self) -> str:
        """Where the claim is derived and shown, as file#anchor."""
        return f"{NOTEBOOKS[self.id[0]]}#{self.id}"

    def holds(self, cost: float = 1, part: str = "", **inputs: SearchStrategy[Any]) -> Callable[[Body], Body]:
        """Decorator: add a property, a function of (subject, trial, **inputs), tried on drawn inputs.

        Parameters
        ----------
        cost, part
            As in `Property`.
        """

        def add(body: Body) -> Body:
            self.properties.append(Property(body, inputs, cost, part=part))
            return body

        return add

    def refutes(self, **inputs: SearchStrategy[Any]) -> Callable[[Body], Body]:
        """Decorator: add a property that is false, and of which a counter-example has to be found.

        It is shrunk where the claim itself is the false one, and so is shown.
        """

        def add(body: Body) -> Body:
            shown = self.truth == "refuted"
            self.properties.append(Property(body, inputs, false=True, shrink=shown))
            return body

        return add

    def law(self, subject: Subject, trial: Trial) -> None:
        """Hold a subject to every property in turn, for which it has the part.

        Raises
        ------
        LawBrokenError
            Where the ledger is contradicted: by the first property that fails, after all were tried where the
            claim reports each and the trial goes on.
        """
        first: tuple[LawBrokenError, tuple[str, Inputs] | None] | None = None
        for prop in self.properties:
            if prop.part and getattr(subject, prop.part) is None:
                continue
            try:
                trial.run(prop, subject)
            except LawBrokenError as broken:
                if not (self.each and trial.go_on):
                    raise
                trial.failed.append(prop.name)
                first = first or (broken, trial.broken)
        if first is not None:
            trial.broken = first[1]
            raise first[0]


_claims: dict[str, Claim] = {}
LEDGER: Mapping[str, Claim] = MappingProxyType(_claims)


def claim(id: str, title: str, statement: str, **parts: Any) -> Claim:
    """Enter a claim into the ledger; the properties that test it are then added by its decorators.

    Parameters
    ----------
    id, title, statement, **parts
        The fields of `Claim`.

    Raises
    ------
    ValueError
        For an id that is in the ledger already.
    """
    if id in _claims:
        raise ValueError(f"claim {id} is in the ledger already")
    _claims[id] = Claim(id, title, statement, **parts)
    return _claims[id]


def ledger_table() -> str:
    """The ledger as a Markdown table, the one that theory/README.md carries."""
    rows = ["| claim | title | statement | source | truth |", "|---|---|---|---|---|"]
    for entry in LEDGER.values():
        link = f"[{entry.id}]({entry.notebook.removeprefix('theory/')})"
        statement = entry.statement.replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| {link} | {entry.title} | {statement} | {entry.source} | {entry.truth} |")
    return "\n".join(rows) + "\n"
