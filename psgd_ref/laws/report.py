"""The report of a run, and `check`, which makes one."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from psgd_ref.laws.applicable import applicable
from psgd_ref.laws.description.describe import Description
from psgd_ref.laws.methods.foreign import as_subject
from psgd_ref.laws.methods.subject import reference
from psgd_ref.laws.outcome import DECLINED, FAILED, HOLDS, MISSING, REFUTED, Outcome, outcomes


@dataclass(frozen=True)
class Report:
    """The outcomes of a run: printed a table, in a notebook one in HTML.

    Parameters
    ----------
    subject
        The subject's name.
    outcomes
        One for each claim that was tried, in the ledger's order.
    others
        Claims that are not about the subject.
    description
        What the subject is, of a quantizer that was described; None for others.
    """

    subject: str
    outcomes: tuple[Outcome, ...]
    others: tuple[str, ...] = ()
    description: Description | None = None

    @property
    def ok(self) -> bool:
        """True when at least one claim was checked and none failed."""
        statuses = [outcome.status for outcome in self.outcomes]
        return FAILED not in statuses and self.checked > 0

    @property
    def checked(self) -> int:
        """How many claims were checked."""
        return sum(outcome.status not in (MISSING, DECLINED) for outcome in self.outcomes)

    @property
    def summary(self) -> str:
        """How many claims of how many were checked, and what came of them."""
        kinds = (HOLDS, REFUTED, FAILED, MISSING, DECLINED)
        counts = {s: sum(o.status == s for o in self.outcomes) for s in kinds}
        cases, seconds = sum(o.cases for o in self.outcomes), sum(o.seconds for o in self.outcomes)
        parts = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        claims = f"{len(self.outcomes)} claims" + (" that apply" if self.others else "")
        numbers = f"{self.checked} of {claims} checked, {cases:,} cases, {seconds:.1f} s"
        rest = f"; not about it: {', '.join(self.others)}" if self.others else ""
        return f"{self.subject}: {numbers}: {parts.replace('holds', 'hold')}{rest}"

    def as_json(self) -> dict[str, object]:
        """The report as one JSON object."""
        return {
            "subject": self.subject,
            "ok": self.ok,
            "checked": self.checked,
            "apply": len(self.outcomes),
            "not_applicable": list(self.others),
            "outcomes": [outcome.as_json() for outcome in self.outcomes],
            "description": None if self.description is None else self.description.as_json(),
        }

    def __str__(self) -> str:
        return "\n".join([*map(str, self.outcomes), self.summary])

    def _repr_html_(self) -> str:
        return html(self)


def html(report: Report) -> str:
    """The report as a table for a notebook: failures in bold, with their counter-examples below them."""
    rows = []
    for outcome in report.outcomes:
        entry, bold = outcome.claim, "b" if outcome.status == FAILED else "span"
        note = f" ({outcome.part})" if outcome.declined else ""
        cells = [
            f'<td title="{escape(entry.statement)}">{entry.id}</td><td>{escape(entry.title)}</td>',
            f"<td>{outcome.cases:,}</td><td>{outcome.worst:.2g}</td>",
            f"<td><{bold}>{escape(outcome.status + note)}</{bold}></td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
        if outcome.status == FAILED:
            shown = outcome.shown[:-1] if outcome.code else outcome.shown
            text = "<br>".join(map(escape, shown))
            code = f"<pre>{escape(outcome.code)}</pre>" if outcome.code else ""
            rows.append(f'<tr><td></td><td colspan="4" style="text-align:left">{text}{code}</td></tr>')
    head = "".join(f"<th>{name}</th>" for name in ("claim", "title", "cases", "worst", "status"))
    caption = f'<caption style="text-align:left">{escape(report.summary)}</caption>'
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def check(
    subject: Any = None,
    claims: Sequence[str] | None = None,
    examples: int = 100,
    seed: int | None = 0,
) -> Report:
    """Hold a subject to the claims of the ledger that are about it, or to those of them that are named.

    Parameters
    ----------
    subject
        This library's own functions when None; a `Subject`; or anybody's scaling rule, step, warp,
        quantizer or pruner, or an object that has several of them: see `protocols`.
    claims
        Ids, in any order; all that apply when None.
    examples
        Inputs to try for a cheap property; a dear one, such as a simulation, gets fewer.
    seed
        Of the search; None for a fresh one.

    Returns
    -------
    The report; `report.ok` says whether at least one claim was checked and none failed.

    Raises
    ------
    ValueError
        For an unknown id, for a claim that is not about the subject, for a thing that is no method, and
        when it declined so many inputs that nothing was checked at all.

    Examples
    --------
    >>> import psgd_ref as pr
    >>> def scale(w, targets, eps=0.0):
    ...     return abs(w - targets.nearest(w)) + eps
    >>> pr.check(scale, claims=["B1"], examples=5).ok
    True
    """
    subject = reference() if subject is None else as_subject(subject)
    entries, others = applicable(subject, claims)
    report = Report(subject.name, tuple(outcomes(subject, entries, examples, seed)), others)
    refuse_empty(report)
    return report


def refuse_empty(report: Report) -> None:
    """ValueError for a report in which every law that ran had all its inputs declined: nothing is known."""
    if not report.checked and any(outcome.status == DECLINED for outcome in report.outcomes):
        reasons = sorted({reason for outcome in report.outcomes for _, reason in outcome.declined})
        raise ValueError(
            f"0 of {len(report.outcomes)} claims could be checked: {report.subject} declined every input "
            f"({'; '.join(reasons)})"
        )
