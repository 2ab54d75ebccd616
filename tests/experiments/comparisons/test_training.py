"""The task "training": every method trains and is measured; choices, rows and words follow from the runs."""

import json

import pytest

from psgd_ref.cli import main
from psgd_ref.experiments.comparisons import tasks
from psgd_ref.experiments.comparisons.training import search
from psgd_ref.experiments.comparisons.training.measure import (
    Job,
    Outcome,
    chosen_options,
    measure,
    measure_or_lose,
)
from psgd_ref.experiments.comparisons.training.methods import (
    METHODS,
    QUANTIZATION_AWARE,
    TRAINERS,
    W2,
    W2A2,
    _first_half,
    targets,
)
from psgd_ref.experiments.comparisons.training.search import CANDIDATES, Trial, choose
from psgd_ref.experiments.comparisons.training.sentences import sentences
from psgd_ref.experiments.comparisons.training.task import TRAINING, rows_of, table
from psgd_ref.experiments.digits import recipe
from psgd_ref.experiments.shared.precision import FULL, MIXED, Precision
from psgd_ref.experiments.shared.rows import NORMS
from psgd_ref.experiments.shared.search_record import read_record
from psgd_ref.figures.comparisons.training import draw

W3, W4 = Precision(3), Precision(4)
PRECISIONS = (W3, W2)


def test_every_method_has_a_way_to_train_and_candidates():
    names = {method.name for method in METHODS}
    assert names == TRAINERS.keys() | {"SGD + MSE clipping"}
    assert TRAINERS.keys() >= QUANTIZATION_AWARE
    assert {name for name, options in CANDIDATES.items() if len(options) < 3} == {"gradient-L1", "HALP"}
    assert CANDIDATES.keys() == TRAINERS.keys() - {method.name for method in recipe.METHODS}


@pytest.fixture(autouse=True)
def no_halves():
    """Halves of other tests' recipes are not gone on with."""
    _first_half.cache_clear()
    yield
    _first_half.cache_clear()


def test_from_training_to_picture(short, tmp_path):
    options = {"SGD": {}, "PSGD → W3": {}, "PSGD → W2": {}, "PSGD + grid decay → W2": {}} | {
        name: c[0] for name, c in CANDIDATES.items()
    }
    jobs = [
        Job(name, options[name], target, seed, PRECISIONS)
        for name in TRAINERS
        for target in targets(name)
        for seed in (0, 1)
    ]
    # One seed's numbers stand for both: training all of them twice shows nothing more.
    outcomes = {(job.name, job.target): measure(job) for job in jobs if job.seed == 0}
    rows = rows_of(jobs, [outcomes[job.name, job.target] for job in jobs])
    assert {row.method for row in rows} == {method.name for method in METHODS}
    assert all(0 <= row.mean <= 1 and row.sd == 0 and row.seeds == 2 and row.relative > 0 for row in rows)
    own = {row.title: row.precision for row in rows if row.own and row.batch_norm == "as trained"}
    assert own["PSGD → W3"] == W3
    assert own["LSQ, W2A2"] == W2A2
    assert own["Bayesian Bits"] == MIXED
    assert own["SGD"] == FULL
    paths = tasks.save(TRAINING, rows, tmp_path)
    assert all(path.stat().st_size > 0 for path in paths.values())
    assert json.loads(paths["rows"].read_text())[0]["method"] == "SGD"
    text = paths["table"].read_text()
    assert "| LSQ, W2A32 | re-estimated |" in text
    assert "At W2A32, of the methods trained for it" in text
    panels = [ax.get_title(loc="left") for ax in draw(rows).axes]
    assert panels == ["(a) W3A32", "(b) W2A32", "(c) W2A2"]


def made(accuracies):
    """Rows from {(name, target): {precision: accuracies by seed}}."""
    jobs, outcomes = [], []
    for (name, target), cells in accuracies.items():
        for seed in range(3):
            jobs.append(Job(name, {}, target, seed, ()))
            found = {(name, p, norm): values[seed] for p, values in cells.items() for norm in NORMS}
            outcomes.append(Outcome(found, 2.0 if name == "LSQ" else 1.0, "", 0.0))
    return rows_of(jobs, outcomes)


def test_words_follow_from_the_rows():
    same = [[k / 10] * 3 for k in range(10)]
    rows = made(
        {
            ("SGD", FULL): {FULL: same[9], W4: same[9], W3: same[6], W2: [0.2, 0.3, 0.1]},
            ("PSGD → W2", W2): {FULL: same[9], W4: same[9], W3: same[9], W2: same[8]},
            ("LSQ", W2): {FULL: same[9], W4: same[7], W3: same[5], W2: [0.97] * 3},
            ("PSGD → LSQ", W2): {W2: [0.96, 0.98, 0.98]},
        }
    )
    own, others, together, times = sentences(rows)
    assert "PSGD → LSQ, W2A32 97.3, LSQ, W2A32 97.0, " in own
    assert "PSGD → W2 80.0. The best of the others is SGD with 20.0" in own
    assert "+77.3 ± 10.1 points ahead" in own
    assert "by its worst of the three: PSGD → W2 (90.0 / 90.0 / 80.0)" in others
    assert "LSQ, W2A32 falls to 50.0" in others
    assert "+0.3 ± 1.2 points at W2A32 from a PSGD model (within its spread)" in together
    assert "LSQ, W2A32 2.0" in times
    assert "**80.0 ± 0.0**" in table(rows)


def test_the_rule_of_the_search():
    def trial(method, k, precision, accuracy, *more, operations=8.0):
        return Trial(method, {"k": k}, {precision: accuracy, **dict(more)}, operations)

    trials = [
        trial("SGD", 0, FULL, 0.99),
        trial("LSQ", 0, W2, 0.5),
        trial("LSQ", 1, W2, 0.6),
        trial("gradient-L1", 0, FULL, 0.9, (W3, 0.9)),
        trial("gradient-L1", 1, FULL, 0.985, (W3, 0.8)),
        trial("Bayesian Bits", 0, MIXED, 0.9, operations=20.0),
        trial("Bayesian Bits", 1, MIXED, 0.8, operations=16.0),
        trial("HALP", 0, FULL, 0.9),
        trial("HALP", 1, FULL, 0.9),
    ]
    chosen = choose(trials)
    assert chosen == {"LSQ": {"k": 1}, "gradient-L1": {"k": 1}, "Bayesian Bits": {"k": 1}, "HALP": {"k": 0}}


def test_a_diverging_candidate_counts_as_nothing(short):
    outcome = search._score(Job("HALP", {"lr": 1e300, "mu": 1e-300}, FULL, 0, (), "validation"))
    assert outcome.accuracy == {}


def test_a_run_that_diverges_counts_as_nothing_and_is_named(short):
    jobs = [Job("SGD", {}, FULL, seed, (W2,)) for seed in (0, 1)]
    jobs += [Job("LSQ", {"lr": lr}, W2, 0, (W2,)) for lr in (1e6, 1e6)]
    lost = measure_or_lose(jobs[-1])
    assert lost.diverged
    found = {("SGD", precision, norm): 0.5 for precision in (FULL, W2) for norm in NORMS}
    rows = rows_of(jobs, [Outcome(found, 1.0, "", 0.0)] * 2 + [lost] * 2)
    own = next(row for row in rows if row.title == "LSQ, W2A32" and row.own)
    assert own.mean == 0
    assert own.note == "2 of 2 runs diverged"
    assert "LSQ, W2A32: 2 of 2 runs diverged" in table(rows)


def test_of_two_runs_one_that_diverged_counts_as_nothing_in_accuracy_and_not_at_all_in_time():
    jobs = [Job("SGD", {}, FULL, 0, (W2,)), *(Job("LSQ", {}, W2, seed, (W2,)) for seed in (0, 1))]
    sgd, own = ({(name, p, norm): 0.8 for p in (FULL, W2) for norm in NORMS} for name in ("SGD", "LSQ"))
    lost = Outcome(dict.fromkeys(own, 0.0), 0.0, "", 0.0, diverged=True)
    rows = rows_of(jobs, [Outcome(sgd, 2.0, "", 0.0), Outcome(own, 6.0, "", 0.0), lost])
    for row in (row for row in rows if row.method == "LSQ"):
        assert row.accuracies == (0.8, 0.0)
        assert (row.mean, row.seeds) == (0.4, 2)
        assert (row.seconds, row.relative) == (6.0, 3.0)
        assert row.note == "1 of 2 runs diverged"
    assert "Training time, SGD's being 1: LSQ, W2A32 3.0" in table(rows)


def test_a_method_that_learns_its_bits_and_diverges_is_counted_at_these_bits(monkeypatch):
    def diverge(*about):
        raise ArithmeticError

    monkeypatch.setitem(TRAINERS, "Bayesian Bits", diverge)
    lost = measure_or_lose(Job("Bayesian Bits", {}, MIXED, 0, (W2,)))
    assert {precision for _, precision, _ in lost.accuracy} == {FULL, W2, MIXED}
    assert set(lost.accuracy.values()) == {0.0}


def test_a_task_without_a_search_says_so(tmp_path, capsys):
    assert main(["compare", "--task", "quantization", "--search", "--out", str(tmp_path)]) == 2
    assert "--search is for the tasks training" in capsys.readouterr().err


def test_the_committed_search_is_that_of_the_rule_and_the_candidates():
    record = read_record(search.__package__)
    trials = [Trial.read(trial) for trial in record["trials"]]
    assert [trial.as_json() for trial in trials] == record["trials"]
    assert choose(trials) == record["chosen"]
    assert record["rule"] == search.RULE
    assert record["seeds"] == list(search.SEEDS)
    tried = [(trial.method, trial.options) for trial in trials if trial.method != "SGD"]
    assert tried == [(name, options) for name, found in CANDIDATES.items() for options in found]
    assert chosen_options().keys() == TRAINERS.keys()
