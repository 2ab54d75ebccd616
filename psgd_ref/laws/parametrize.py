"""Laws as tests of pytest: one for each subject and claim that is about it, by the id `Subject-B2`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from psgd_ref.laws.applicable import applicable
from psgd_ref.laws.methods.foreign import as_subject
from psgd_ref.laws.methods.subject import Subject
from psgd_ref.laws.outcome import DECLINED, FAILED, MISSING, outcomes
from psgd_ref.laws.trial import LawBrokenError

if TYPE_CHECKING:
    import pytest

Law = Callable[[], None]


def parametrize_with_laws(
    subjects: Sequence[Any],
    claims: Sequence[str] | None = None,
    expected_failures: Mapping[str, Mapping[str, str]] | None = None,
    examples: int = 100,
    seed: int | None = 0,
) -> "pytest.MarkDecorator":
    """Decorator: a test with the one argument `law` runs once for each subject and claim.

    ::

        @parametrize_with_laws([MyWarp, my_step], expected_failures={"my_step": {"D1": "no bound on s"}})
        def test_laws(law):
            law()

    A claim of which the subject declined every input is skipped, with its reason.

    Parameters
    ----------
    subjects
        What `check` accepts, at least one.
    claims
        Ids; all that apply to a subject when None.
    expected_failures
        By the subject's name, the claims that it is known to fail, each with the reason. They are strict:
        one that holds after all fails the test.
    examples, seed
        As for `check`.

    Raises
    ------
    ValueError
        For no subject, a subject without a claim, and an expected failure of no such subject or claim.
    """
    import pytest

    if not subjects:
        raise ValueError("parametrize_with_laws needs at least one subject")
    expected = {name: dict(ids) for name, ids in (expected_failures or {}).items()}
    cases = []
    for subject in map(as_subject, subjects):
        entries, _ = applicable(subject, claims)
        known = expected.pop(subject.name, {})
        for entry in entries:
            reason = known.pop(entry.id, None)
            xfail = pytest.mark.xfail(reason=reason or "", raises=LawBrokenError, strict=True)
            law = _law(subject, entry.id, examples, seed)
            cases.append(
                pytest.param(law, id=f"{subject.name}-{entry.id}", marks=[] if reason is None else [xfail])
            )
        if known:
            raise ValueError(f"no test of {subject.name} for the expected failures {', '.join(known)}")
    if expected:
        raise ValueError(f"expected failures of {', '.join(expected)}, which is not among the subjects")
    return pytest.mark.parametrize("law", cases)


def _law(subject: Subject, id: str, examples: int, seed: int | None) -> Law:
    def law() -> None:
        import pytest

        entries, _ = applicable(subject, [id])
        (outcome,) = outcomes(subject, entries, examples, seed)
        if outcome.status == FAILED:
            said = [f"{id} {outcome.claim.title}: {outcome.claim.statement}", *outcome.shown]
            raise LawBrokenError("\n".join(said))
        if outcome.status in (DECLINED, MISSING):
            pytest.skip(outcome.part if outcome.declined else f"it has no {', '.join(outcome.missing)}")

    return law
