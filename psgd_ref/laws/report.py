"""Running claims against a subject, and what came of it."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from psgd_ref.core.arguments import whole_number
from psgd_ref.laws.ledger import LEDGER, Claim
from psgd_ref.laws.subject import Subject, reference
from psgd_ref.laws.trial import LawBrokenError, Trial, describe

HOLDS, REFUTED, FAILED, MISSING = "holds", "refuted as stated", "FAILED", "not here yet"


@dataclass(frozen=True)
class Outcome:
    """What came of one claim.

    status         : "holds", "refuted as stated" (a false claim, its counter-example found), "FAILED",
                     or "not here yet" (the subject lacks a part that the claim is about)
    cases          : inputs tried
    worst          : the largest error seen, as a share of what the law allows; 1 where a bound is attained
    counterexample : the smallest input that breaks the law or refutes the claim, in words and as code
    missing        : the parts that the subject lacks
    """

    claim: Claim
    status: str
    cases: int
    worst: float
    counterexample: str
    missing: tuple[str, ...]
    seconds: float

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
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        head = f"{self.claim.id}  {self.claim.title:<36} {_short(self.claim.source):<24}"
        line = f"{head} {self.cases:>6} cases  worst {self.worst:<7.2g} {self.status}"
        if self.missing:
            line += f" ({', '.join(self.missing)})"
        return "\n      ".join([line, *self.counterexample.splitlines()])


@dataclass(frozen=True)
class Report:
    """The outcomes of a run, in the ledger's order."""

    subject: str
    outcomes: tuple[Outcome, ...]

    @property
    def ok(self) -> bool:
        """True when at least one claim was checked and none failed."""
        statuses = [outcome.status for outcome in self.outcomes]
        return FAILED not in statuses and set(statuses) != {MISSING}

    @property
    def summary(self) -> str:
        """How many claims of how many were checked, and what came of them."""
        counts = {s: sum(o.status == s for o in self.outcomes) for s in (HOLDS, REFUTED, FAILED, MISSING)}
        checked = len(self.outcomes) - counts[MISSING]
        cases, seconds = sum(o.cases for o in self.outcomes), sum(o.seconds for o in self.outcomes)
        parts = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        numbers = f"{checked} of {len(self.outcomes)} claims checked, {cases:,} cases, {seconds:.1f} s"
        return f"{self.subject}: {numbers}: {parts.replace('holds', 'hold')}"

    def __str__(self) -> str:
        return "\n".join([*map(str, self.outcomes), self.summary])


def check(
    subject: Subject | None = None,
    claims: Sequence[str] | None = None,
    examples: int = 100,
    seed: int | None = 0,
) -> Report:
    """Hold a subject to the ledger, or to the named claims.

    subject  : this library's own functions when None
    claims   : ids, in any order; all when None
    examples : inputs to try for a cheap property; a dear one, such as a simulation, gets fewer
    seed     : of the search; None for a fresh one

    Raises ValueError for an unknown id, listing those that exist.
    """
    subject = reference() if subject is None else subject
    return Report(subject.name, tuple(outcomes(subject, chosen(claims), examples, seed)))


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
        trial, start = Trial(examples, seed), time.perf_counter()
        missing = tuple(part for part in entry.needs if getattr(subject, part) is None)
        status = MISSING if missing else HOLDS if entry.truth == "holds" else REFUTED
        try:
            entry.law(subject, trial)
            shown = trial.counterexample if entry.truth == "refuted" else ""
        except LawBrokenError as broken:
            status, shown = FAILED, describe(broken)
        except Exception as error:
            status, shown = FAILED, f"{type(error).__name__}: {describe(error)}"
        seconds = time.perf_counter() - start
        yield Outcome(entry, status, trial.cases, trial.worst, shown, missing, seconds)


def _short(source: str) -> str:
    return source if len(source) <= 24 else source[:23] + "…"
