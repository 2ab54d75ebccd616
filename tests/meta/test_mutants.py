"""The table of mutants: complete, every one rejected by a law or explained, and still so."""

import csv

import pytest

from tests.meta import mutants

with mutants.TABLE.open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))
REJECTED = [row for row in ROWS if row["rejected by"]]


def test_every_mutant_is_in_the_table():
    made = [(part, kind) for part in mutants.PARTS for kind in mutants.KINDS if mutants.subject(part, kind)]
    assert [(row["part"], row["mistake"]) for row in ROWS] == made


def test_every_survivor_is_explained():
    survivors = {(row["part"], row["mistake"]) for row in ROWS if not row["rejected by"]}
    assert survivors == set(mutants.NONE)
    assert all(row["why none has to"] for row in ROWS if not row["rejected by"])


@pytest.mark.parametrize("row", REJECTED, ids=lambda row: f"{row['part']}, {row['mistake']}")
def test_is_rejected(row):
    """By a law of its row, mostly the first; the table is made anew by `python -m tests.meta.mutants`."""
    mutant = mutants.subject(row["part"], row["mistake"])
    assert any(mutants.rejects(id, mutant) for id in row["rejected by"].split())
