"""The task "training": every method trains and is measured; choices, rows and words follow from the runs."""

import json
from importlib.resources import files

import pytest

from psgd_ref.cli import main
from psgd_ref.experiments.comparisons import tasks as compare
from psgd_ref.experiments.comparisons.training import (
    search as training_search,
)
from psgd_ref.experiments.comparisons.training import (
    sentences as training_words,
)
from psgd_ref.experiments.comparisons.training import (
    task as training_time,
)
from psgd_ref.experiments.comparisons.training.methods import WAYS, _first_half
from psgd_ref.experiments.comparisons.training.search import CANDIDATES, Trial, choose
from psgd_ref.experiments.comparisons.training.task import (
    FULL,
    METHODS,
    MIXED,
    NORMS,
    TARGETS,
    Job,
    Outcome,
    _rows,
    chosen_options,
    measure,
    table,
    targets,
)
from psgd_ref.experiments.digits import study as demo
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.figures.comparisons.training_time import draw

PRECISIONS = (Precision(3), Precision(2))


def test_every_method_has_a_way_to_train_and_candidates():
    names = {method.name for method in METHODS}
    assert names == WAYS.keys() | {"SGD + MSE clipping"}
    assert TARGETS.keys() <= WAYS.keys()
    assert {name for name, options in CANDIDATES.items() if len(options) < 3} == {"gradient-L1", "HALP"}
    assert CANDIDATES.keys() == WAYS.keys() - {method.name for method in demo.METHODS}


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(demo, "EPOCHS", 2)
    monkeypatch.setattr(demo, "CHANNELS", (4, 4))
    _first_half.cache_clear()
    yield
    _first_half.cache_clear()


def test_from_training_to_picture(short, tmp_path):
    options = {"SGD": {}, "PSGD → W3": {}, "PSGD → W2": {}} | {name: c[0] for name, c in CANDIDATES.items()}
    jobs = [
        Job(name, options[name], target, seed, PRECISIONS)
        for name in WAYS
        for target in targets(name)
        for seed in (0, 1)
    ]
    # One seed's numbers stand for both: training all of them twice shows nothing more.
    outcomes = {(job.name, job.target): measure(job) for job in jobs if job.seed == 0}
    rows = _rows(jobs, [outcomes[job.name, job.target] for job in jobs])
    assert {row.method.split(", W")[0] for row in rows} == {method.name for method in METHODS}
    assert all(0 <= row.mean <= 1 and row.sd == 0 and row.seeds == 2 and row.relative > 0 for row in rows)
    own = {row.method: row.bits for row in rows if row.own and row.batch_norm == "as trained"}
    assert own["PSGD → W3"] == "W3A32"
    assert own["LSQ, W2A2"] == "W2A2"
    assert own["Bayesian Bits"] == MIXED
    assert own["SGD"] == FULL
    paths = compare.save(training_time, rows, tmp_path)
    assert all(path.stat().st_size > 0 for path in paths.values())
    assert json.loads(paths["rows"].read_text())[0]["method"] == "SGD"
    text = paths["table"].read_text()
    assert "| LSQ, W2A32 | re-estimated |" in text
    assert "At W2A32, of the methods trained for it" in text
    panels = [ax.get_title(loc="left") for ax in draw(rows).axes]
    assert panels == ["(a) W3A32", "(b) W2A32", "(c) W2A2"]


def rows_of(accuracies):
    """Rows from {(name, target): {bits: accuracies by seed}}."""
    jobs, outcomes = [], []
    for (name, target), cells in accuracies.items():
        for seed in range(3):
            jobs.append(Job(name, {}, target, seed, ()))
            found = {(name, bits, norm): values[seed] for bits, values in cells.items() for norm in NORMS}
            outcomes.append(Outcome(found, 2.0 if name == "LSQ" else 1.0, "", 0.0))
    return _rows(jobs, outcomes)


def test_words_follow_from_the_rows():
    same = [[k / 10] * 3 for k in range(10)]
    rows = rows_of(
        {
            ("SGD", None): {FULL: same[9], "W4A32": same[9], "W3A32": same[6], "W2A32": [0.2, 0.3, 0.1]},
            ("PSGD → W2", None): {FULL: same[9], "W4A32": same[9], "W3A32": same[9], "W2A32": same[8]},
            ("LSQ", Precision(2)): {FULL: same[9], "W4A32": same[7], "W3A32": same[5], "W2A32": [0.97] * 3},
            ("PSGD → LSQ", Precision(2)): {"W2A32": [0.96, 0.98, 0.98]},
        }
    )
    own, others, together, times = training_words.sentences(rows)
    assert "PSGD → LSQ, W2A32 97.3, LSQ, W2A32 97.0, " in own
    assert "PSGD → W2 80.0. The best of the others is SGD with 20.0" in own
    assert "+77.3 ± 10.1 points ahead" in own
    assert "by its worst of the three: PSGD → W2 (90.0 / 90.0 / 80.0)" in others
    assert "LSQ, W2A32 falls to 50.0" in others
    assert "+0.3 ± 1.2 points at W2A32 from a PSGD model (within its spread)" in together
    assert "LSQ, W2A32 2.0" in times
    assert "**80.0 ± 0.0**" in table(rows)


def test_the_rule_of_the_search():
    def trial(method, k, operations=8.0, **validation):
        return Trial(method, {"k": k}, validation, operations)

    trials = [
        trial("SGD", 0, full=0.99),
        trial("LSQ", 0, W2A32=0.5),
        trial("LSQ", 1, W2A32=0.6),
        trial("gradient-L1", 0, full=0.9, W3A32=0.9),
        trial("gradient-L1", 1, full=0.985, W3A32=0.8),
        trial("Bayesian Bits", 0, mixed=0.9, operations=20.0),
        trial("Bayesian Bits", 1, mixed=0.8, operations=16.0),
        trial("HALP", 0, full=0.9),
        trial("HALP", 1, full=0.9),
    ]
    chosen = choose(trials)
    assert chosen == {"LSQ": {"k": 1}, "gradient-L1": {"k": 1}, "Bayesian Bits": {"k": 1}, "HALP": {"k": 0}}


def test_a_diverging_candidate_counts_as_nothing(short):
    outcome = training_search._score(Job("HALP", {"lr": 1e30, "mu": 1e-30}, None, 0, (), "validation"))
    assert outcome.accuracy == {}


def test_a_run_that_diverges_counts_as_nothing_and_is_named(short):
    jobs = [Job("SGD", {}, None, seed, (Precision(2),)) for seed in (0, 1)]
    jobs += [Job("LSQ", {"lr": lr}, Precision(2), 0, (Precision(2),)) for lr in (1e6, 1e6)]
    lost = training_time.measure_or_lose(jobs[-1])
    assert lost.diverged
    found = {("SGD", bits, norm): 0.5 for bits in (FULL, "W2A32") for norm in NORMS}
    rows = _rows(jobs, [Outcome(found, 1.0, "", 0.0)] * 2 + [lost] * 2)
    own = next(row for row in rows if row.method == "LSQ, W2A32" and row.own)
    assert own.mean == 0
    assert own.note == "2 of 2 runs diverged"
    assert "LSQ, W2A32: 2 of 2 runs diverged" in table(rows)


def test_a_task_without_a_search_says_so(tmp_path, capsys):
    assert main(["compare", "--task", "quantization", "--search", "--out", str(tmp_path)]) == 2
    assert "--search is for the tasks training" in capsys.readouterr().err


def test_the_committed_search_is_that_of_the_rule_and_the_candidates():
    path = files(training_time.__package__).joinpath("chosen.json")
    record = json.loads(path.read_text("utf-8"))
    trials = [Trial(**trial) for trial in record["trials"]]
    assert choose(trials) == record["chosen"]
    assert record["rule"] == training_search.RULE
    assert record["seeds"] == list(training_search.SEEDS)
    tried = [(trial.method, trial.options) for trial in trials if trial.method != "SGD"]
    assert tried == [(name, options) for name, found in CANDIDATES.items() for options in found]
    assert chosen_options().keys() == WAYS.keys()
