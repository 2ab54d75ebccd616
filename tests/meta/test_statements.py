"""What the ledger does not say: every false reading of it is refuted, on ten seeds of ten."""

import pytest

from psgd_ref.laws import LawBrokenError, Subject, Trial
from tests.meta.statements import STATEMENTS


@pytest.mark.parametrize("entry", STATEMENTS, ids=lambda entry: f"{entry.id}-{entry.title}")
def test_refuted_on_every_seed(entry):
    for seed in range(10):
        with pytest.raises(LawBrokenError):
            entry.law(Subject(), Trial(100, seed, shrink=False))
