"""Running one claim after the other against a subject, and what came of each."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from psgd_ref.core.arguments import whole_number
from psgd_ref.laws.explain import words
from psgd_ref.laws.ledger import Claim
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.replay import line
from psgd_ref.laws.trial import LawBrokenError, Trial, describe

HOLDS, REFUTED, FAILED, MISSING = "holds", "refuted as stated", "FAILED", "not here yet"
DECLINED = "did not run"


@dataclass(frozen=True)
class Outcome:
    """What came of one claim.

    Parameters
    ----------
    claim
        The claim.
    status
        "holds", "refuted as stated" (a false claim, its counter-example found), "FAILED", "not here yet"
        (the subject lacks a part that the claim is about), or "did not run" (it declined every input).
    cases
        Inputs tried.
    worst
        The largest error seen, as a fraction of what the law allows; 1 where a bound is attained.
    counterexample
        The smallest input that breaks the law or refutes the claim, in words and as code.
    missing
        The parts that the subject lacks.
    seconds
        How long it took.
    words
        The weight at which a subject that failed differs most from the formula; may be empty.
    code
        A line that runs the counter-example again and raises; empty where there is none.
    ran
        How many properties of the law ran.
    declined
        The properties that did not, each with the subject's reason.
    properties
        Of a claim that reports each, its properties with what came of them.
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
    properties: tuple[tuple[str, str], ...] = ()

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
            "properties": dict(self.properties),
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        head = f"{self.claim.id}  {self.claim.title:<36} {_short(self.claim.source):<24}"
        line = f"{head} {self.cases:>6} cases  worst {self.worst:<7.2g} {self.status}"
        if self.missing:
            line += f" ({', '.join(self.missing)})"
        if self.declined:
            line += f" ({self.part})"
        each = ", ".join(f"{name} {status}" for name, status in self.properties)
        return "\n      ".join([line, *([each] if each else []), *self.shown])

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
        names: dict[str, list[str]] = {}
        for name, reason in self.declined:
            names.setdefault(reason, []).append(name)
        reasons = "; ".join(f"{', '.join(each)} did not: {reason}" for reason, each in names.items())
        return f"{self.ran} of {self.ran + len(self.declined)} properties ran; {reasons}"


def outcomes(subject: Subject, claims: Iterable[Claim], examples: int, seed: int | None) -> Iterator[Outcome]:
    """Run claims one after the other; a law that raises anything at all has failed."""
    whole_number("examples", examples, 1)
    for entry in claims:
        trial, start = Trial(examples, seed, subject.calls, go_on=True), time.perf_counter()
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
            _each(entry, trial),
        )


def _each(entry: Claim, trial: Trial) -> tuple[tuple[str, str], ...]:
    """What came of each property, of a claim that reports them."""
    if not entry.each:
        return ()
    names = [prop.name for prop in entry.properties if prop.name in {*trial.ran, *trial.declined}]
    return tuple(
        (name, FAILED if name in trial.failed else DECLINED if name in trial.declined else HOLDS)
        for name in names
    )


def _short(source: str) -> str:
    return source if len(source) <= 24 else source[:23] + "…"
