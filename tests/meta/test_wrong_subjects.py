"""Every law rejects subjects that are wrong on purpose, and says on which input."""

import re
from dataclasses import replace

import pytest

from psgd_ref.laws import LEDGER, LawBrokenError, Subject, Trial, check
from tests.meta.right import PARTS, WRONG_PARTS
from tests.meta.wrong import NARROW, WRONG
from tests.meta.wrong_training import TRAINING

ALL = WRONG | TRAINING
cases = [(id, i) for id, subjects in WRONG.items() for i in range(len(subjects))]


def test_every_claim_has_a_wrong_subject():
    assert {*ALL, "H2"} == set(LEDGER)


@pytest.mark.parametrize(
    ("id", "i"), [(id, 0) for id in WRONG] + [(id, i) for id in TRAINING for i in range(len(TRAINING[id]))]
)
def test_rejected(id, i):
    outcome = check(ALL[id][i], [id], examples=100).outcomes[0]
    assert outcome.status == "FAILED"
    # Rejected by the law, on an input it shows, and not because something raised.
    statement, *example = outcome.counterexample.splitlines()
    assert not re.match(r"\w+Error: ", statement)
    assert example


@pytest.mark.parametrize(("id", "i"), cases, ids=[f"{id}-{i}" for id, i in cases])
def test_rejected_on_every_seed(id, i):
    """Of four, where a subject has once passed on one of ten."""
    for seed in range(4 if i in NARROW.get(id, ()) else 1):
        with pytest.raises(LawBrokenError):
            LEDGER[id].law(ALL[id][i], Trial(100, seed, shrink=False))


@pytest.mark.parametrize("part", PARTS)
def test_rejected_methods_of_others(part):
    outcome = check(Subject(**{**PARTS, part: WRONG_PARTS[part]}), ["H2"], examples=40).outcomes[0]
    assert outcome.status == "FAILED"
    assert len(outcome.counterexample.splitlines()) > 1


def test_methods_of_others_hold_when_all_are_there():
    outcome = check(Subject(**PARTS), ["H2"], examples=40).outcomes[0]
    assert (outcome.status, outcome.missing) == ("holds", ())


def test_a_wrong_method_fails_though_others_are_missing():
    report = check(Subject(laplace_clip=WRONG_PARTS["laplace_clip"]), ["H2"], examples=20)
    assert report.outcomes[0].status == "FAILED"
    assert not report.ok


def test_a_subject_that_raises_has_failed():
    def broken(w, g, lr, warp):
        raise RuntimeError("no step today")

    outcome = check(replace(Subject(), psgd_step=broken), ["D5"], examples=5).outcomes[0]
    assert outcome.status == "FAILED"
    assert "no step today" in outcome.counterexample
