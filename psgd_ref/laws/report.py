"""Running claims against a subject, and what came of it."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from psgd_ref.core.arguments import whole_number
from psgd_ref.laws.explain import words
from psgd_ref.laws.ledger import LEDGER, Claim
from psgd_ref.laws.methods.foreign import as_subject
from psgd_ref.laws.methods.subject import Subject, reference
from psgd_ref.laws.replay import line
from psgd_ref.laws.trial import LawBrokenError, Trial, describe

HOLDS, REFUTED, FAILED, MISSING = "holds", "refuted as stated", "FAILED", "not here yet"
DECLINED = "did not run"


@dataclass(frozen=True)
class Outcome:
    """What came of one claim.

    status         : "holds", "refuted as stated" (a false claim, its counter-example found), "FAILED",
                     "not here yet" (the subject lacks a part that the claim is about), or "did not run"
                     (it declined every input)
    cases          : inputs tried
    worst          : the largest error seen, as a share of what the law allows; 1 where a bound is attained
    counterexample : the smallest input that breaks the law or refutes the claim, in words and as code
    missing        : the parts that the subject lacks
    words          : the weight at which a subject that failed differs most from the formula; may be empty
    code           : a line that runs the counter-example again and raises; empty where there is none
    ran            : how many properties of the law ran
    declined       : the properties that did not, each with the subject's reason
    """

    claim: Claim
    status: str
    cases: int
    worst: float
    counterexample: str
    missing: tuple[str, ...]
    seconds: float
    words: str = ""
    code: str = ""
    ran: int = 0
    declined: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, object]:
        """The outcome as one JSON object."""
        return {
            "id": self.claim.id,
            "title": self.claim.title,
            "statement": self.claim.statement,
            "source": self.claim.source,
            "truth": self.claim.truth,
            "notebook": self.claim.notebook,
            "cases": self.cases,
            "worst": self.worst,
            "status": self.status,
            "counterexample": self.counterexample,
            "missing": list(self.missing),
            "words": self.words,
            "code": self.code,
            "declined": dict(self.declined),
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        head = f"{self.claim.id}  {self.claim.title:<36} {_short(self.claim.source):<24}"
        line = f"{head} {self.cases:>6} cases  worst {self.worst:<7.2g} {self.status}"
        if self.missing:
            line += f" ({', '.join(self.missing)})"
        if self.declined:
            line += f" ({self.part})"
        return "\n      ".join([line, *self.shown])

    @property
    def shown(self) -> list[str]:
        """The counter-example, line by line."""
        lines = self.counterexample.splitlines()
        if self.status != FAILED or not self.code:
            return lines
        # The line of code holds the input, so that Hypothesis' own listing would say it twice.
        return [*filter(None, [lines[0], self.words]), f"run: {self.code}"]

    @property
    def part(self) -> str:
        """Which properties ran, where not all did, and why the others did not."""
        reasons = "; ".join(f"{name} did not: {reason}" for name, reason in self.declined)
        return f"{self.ran} of {self.ran + len(self.declined)} properties ran; {reasons}"


@dataclass(frozen=True)
class Report:
    """The outcomes of a run, in the ledger's order; `others` are claims that are not about the subject."""

    subject: str
    outcomes: tuple[Outcome, ...]
    others: tuple[str, ...] = ()

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

    subject  : this library's own functions when None; a `Subject`; or anybody's scaling rule, step, warp,
               quantizer or pruner, or an object that has several of them: see `protocols`
    claims   : ids, in any order; all that apply when None
    examples : inputs to try for a cheap property; a dear one, such as a simulation, gets fewer
    seed     : of the search; None for a fresh one

    Raises ValueError for an unknown id, for a claim that is not about the subject, for a thing that is no
    method, and when it declined so many inputs that nothing was checked at all.

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


def applicable(subject: Subject, claims: Iterable[str] | None) -> tuple[list[Claim], tuple[str, ...]]:
    """The claims to check, and the ids of those of the ledger that are about parts the subject lacks.

    Raises ValueError for an unknown or empty choice, and for a named claim that does not apply.
    """
    entries, given = chosen(claims), subject.given
    if given is None:
        return entries, ()
    apply = [entry for entry in LEDGER.values() if given.intersection(entry.tests)]
    beside = [entry.id for entry in entries if entry not in apply]
    if claims is not None and beside:
        raise ValueError(
            f"claim {', '.join(beside)} is not about {subject.name}, which is tested as "
            f"{', '.join(sorted(given))}; claims that are: {', '.join(entry.id for entry in apply)}"
        )
    others = [entry.id for entry in entries if entry not in apply]
    return [entry for entry in entries if entry in apply], tuple(others)


def refuse_empty(report: Report) -> None:
    """ValueError for a report in which every law that ran had all its inputs declined: nothing is known."""
    if not report.checked and any(outcome.status == DECLINED for outcome in report.outcomes):
        reasons = sorted({reason for outcome in report.outcomes for _, reason in outcome.declined})
        raise ValueError(
            f"0 of {len(report.outcomes)} claims could be checked: {report.subject} declined every input "
            f"({'; '.join(reasons)})"
        )


def chosen(claims: Iterable[str] | None) -> list[Claim]:
    """The named claims in the ledger's order, all for None; ValueError for an unknown or empty choice."""
    if claims is None:
        return list(LEDGER.values())
    wanted = list(claims)
    unknown = [id for id in wanted if id not in LEDGER]
    if unknown or not wanted:
        raise ValueError(f"no claim {', '.join(unknown) or 'given'}; the ledger has {', '.join(LEDGER)}")
    return [entry for entry in LEDGER.values() if entry.id in wanted]


def outcomes(subject: Subject, claims: Iterable[Claim], examples: int, seed: int | None) -> Iterator[Outcome]:
    """Run claims one after the other; a law that raises anything at all has failed."""
    whole_number("examples", examples, 1)
    for entry in claims:
        trial, start = Trial(examples, seed, subject.calls), time.perf_counter()
        missing = tuple(part for part in entry.needs if getattr(subject, part) is None)
        status = MISSING if missing else HOLDS if entry.truth == "holds" else REFUTED
        said = ""
        try:
            entry.law(subject, trial)
            shown = trial.counterexample if entry.truth == "refuted" else ""
            if status != MISSING and not trial.ran:
                status = DECLINED
        except LawBrokenError as broken:
            status, shown = FAILED, describe(broken)
        except NotImplementedError as limit:
            # Outside of every property: a law that only sets something up with the subject.
            status, shown = DECLINED, ""
            trial.declined = {"the law": str(limit)}
        except Exception as error:
            status, shown = FAILED, f"{type(error).__name__}: {describe(error)}"
        code = ""
        if trial.broken is not None and shown:
            name, inputs = trial.broken
            code = line(subject, f"{entry.id}.{name}", inputs)
            said = words(subject, entry, name, inputs) if status == FAILED else ""
        yield Outcome(
            entry,
            status,
            trial.cases,
            trial.worst,
            shown,
            missing,
            time.perf_counter() - start,
            said,
            code,
            len(trial.ran),
            tuple(trial.declined.items()),
        )


def _short(source: str) -> str:
    return source if len(source) <= 24 else source[:23] + "…"
