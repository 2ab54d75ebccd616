"""Which claims are about a subject."""

from collections.abc import Iterable

from psgd_ref.laws.ledger import LEDGER, Claim
from psgd_ref.laws.methods.subject import Subject


def applicable(subject: Subject, claims: Iterable[str] | None) -> tuple[list[Claim], tuple[str, ...]]:
    """The claims to check, and the ids of those of the ledger that are about parts the subject lacks.

    Raises
    ------
    ValueError
        For an unknown or empty choice, and for a named claim that does not apply.
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


def chosen(claims: Iterable[str] | None) -> list[Claim]:
    """The named claims in the ledger's order, all for None.

    Raises
    ------
    ValueError
        For an unknown or empty choice.
    """
    if claims is None:
        return list(LEDGER.values())
    wanted = list(claims)
    unknown = [id for id in wanted if id not in LEDGER]
    if unknown or not wanted:
        raise ValueError(f"no claim {', '.join(unknown) or 'given'}; the ledger has {', '.join(LEDGER)}")
    return [entry for entry in LEDGER.values() if entry.id in wanted]
