"""The stored example of a sweep file: its runs, and that a small version of it comes to an end."""

from itertools import product
from pathlib import Path

from tests.experiments.sweeps.sweeps import here, planned, swept

EXAMPLE = (Path(__file__).parents[3] / "notebooks/sweep.toml").read_text(encoding="utf-8")


def test_the_example_has_its_thirty_runs(tmp_path):
    runs = planned(tmp_path, EXAMPLE)
    assert len({run.identity for run in runs}) == len(runs) == 30


def test_a_small_version_of_the_example_runs(tmp_path):
    small = EXAMPLE
    for long, short in (
        ("epochs = 10", "epochs = 1"),
        ("lr = [0.1, 0.3]", "lr = [0.1]"),
        ("seed = [0, 1, 2, 3, 4]", "seed = [0]"),
    ):
        assert long in small
        small = small.replace(long, short)
    found, _ = swept(tmp_path, here, small)
    assert [str(run) for run in found.runs] == [str(run) for run in found.done]
    assert len(found.done) == 3
    measured = set(product(("W4", "W3", "W2"), ("min-max", "mse"), (False, True)))
    for entry in found.entries.values():
        rows = entry.result["accuracies"]
        assert measured <= {(row["precision"], row["grid"], row["reestimated"]) for row in rows}
