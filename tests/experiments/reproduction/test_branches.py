"""Methods from one trunk: nothing is chosen on test images, and words and picture follow the numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from psgd_ref.data import Dataset, Split
from psgd_ref.experiments.reproduction.branches import files, paired, recipe, runs, sizes, study, text
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, NORMS, REESTIMATED
from psgd_ref.experiments.store.arrays import ArrayStore

RNG = np.random.default_rng(0)
ROOT = Path(__file__).parents[3]
SEEDS = (0, 1, 2)


def trials():
    return [
        study.Trial(method.name, bits, options, float(RNG.random()))
        for method in recipe.METHODS
        for bits in study.SEARCHED
        for options in method.candidates
    ]


class Watched:
    """In place of the store: every outcome by chance, and the jobs that were asked for."""

    def __init__(self):
        self.seen = []

    def all(self, function, jobs, title, given):
        self.seen.extend(jobs)
        if function is runs.trunk:
            return [{} for _ in jobs]
        outcome = runs.Outcome({(n, p): RNG.random() for n in NORMS for p in runs.PRECISIONS}, 0.0)
        return [outcome.as_arrays() for _ in jobs]


def invented(size=sizes.SMALL, seeds=SEEDS):
    found = trials()
    outcomes = [
        (
            job,
            runs.Outcome(
                {(norm, p): 0.5 + 0.1 * RNG.random() for norm in NORMS for p in runs.PRECISIONS}, 0.3
            ),
        )
        for job in study.table_jobs(size, found, seeds)
    ]
    return study.Result(size, seeds, found, outcomes)


def test_every_method_has_as_many_trials():
    assert {len(method.candidates) for method in recipe.METHODS} == {4}


def test_the_search_sees_validation_images_of_other_seeds_and_the_table_test_images(monkeypatch):
    store = Watched()
    result = study.run(sizes.SMALL, SEEDS, store, None)
    branches = [job for job in store.seen if isinstance(job, runs.Branch)]
    searched = [job for job in branches if job.split == "validation"]
    assert {job.seed for job in searched}.isdisjoint(SEEDS)
    assert {job.seed for job in branches if job.split == "test"} == set(SEEDS)
    tried = {(trial.method, trial.bits): [] for trial in result.trials}
    for trial in result.trials:
        tried[trial.method, trial.bits].append(trial.validation)
    for (name, bits), values in tried.items():
        chosen = result.chosen(recipe.BY_NAME[name], bits)
        own = [t for t in result.trials if (t.method, t.bits, t.options) == (name, bits, chosen)]
        assert own[0].validation == max(values)
    rounded = [job for job in branches if job.method == recipe.ADAROUND.name and job.split == "test"]
    sgd = {bits: result.chosen(recipe.SGD_ROW, bits).get("lr") for bits in sizes.SMALL.bits}
    assert all(job.options.get("lr") == sgd[job.bits] for job in rounded)


def test_differences_are_paired_and_their_interval_is_student_s():
    one, other = RNG.random(5), RNG.random(5)
    found = paired.difference(one, other)
    want = stats.ttest_rel(100 * one, 100 * other).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((want.low, want.high))
    assert found.mean == pytest.approx(100 * (one.mean() - other.mean()))
    assert paired.difference(other + 0.1, other).gains
    assert paired.difference(other - 0.1, other).loses


@pytest.mark.parametrize(("size", "seeds"), [(sizes.SMALL, SEEDS), (sizes.LARGE, (0, 1))])
def test_words_numbers_and_picture_come_out_of_the_record(tmp_path, size, seeds):
    result = invented(size, seeds)
    again = study.Result.read(json.loads(json.dumps(result.as_json())))
    words = text.text(result, published=True)
    assert text.text(again, published=True) == words
    paths = files.save(result, tmp_path, words)
    assert all(path.stat().st_size > 0 for path in paths.values())
    row = text.lines(result, 2)[2]
    mean = 100 * np.mean([o.accuracy[REESTIMATED, Precision(2)] for o in row.outcomes])
    line = next(each for each in words.splitlines() if each.startswith(f"| {row.method.name} |"))
    assert f"{mean:.1f} ±" in line
    assert ("search" in paths) == ("### Decay to the grid by its strength" in words) == size.searches


def test_the_larger_size_takes_the_options_of_the_committed_search():
    store = Watched()
    result = study.run(sizes.LARGE, (0, 1), store, None)
    assert {job.size for job in store.seen} == {"resnet20"}
    assert {job.seed for job in store.seen} == {0, 1}
    assert {job.split for job in store.seen if isinstance(job, runs.Branch)} == {"test"}
    stored = study.Result.read(json.loads((ROOT / "notebooks/cifar16/table.json").read_text("utf-8")))
    assert result.trials == stored.trials


def tiny(name, folder):
    rng = np.random.default_rng(0)
    parts = [
        Split(rng.integers(0, 256, (size, 16, 16, 3), dtype=np.uint8), np.arange(size) % 10)
        for size in (128, 40, 40)
    ]
    return Dataset("tiny", 10, *parts, np.full(3, 127.0, np.float32), np.full(3, 60.0, np.float32))


@pytest.mark.parametrize("method", [recipe.DECAY, recipe.LSQ_ROW, recipe.ADAROUND, recipe.PARQ_ROW])
def test_a_branch_begins_with_its_trunk_and_is_measured(tmp_path, monkeypatch, method):
    monkeypatch.setattr(runs, "_data", tiny)
    monkeypatch.setattr(recipe, "TRUNK_EPOCHS", 1)
    monkeypatch.setattr(recipe, "BRANCH_EPOCHS", 1)
    store = ArrayStore(tmp_path, 1)
    store.one(lambda: runs.trunk(runs.Trunk(3), None), {"any": 1})
    monkeypatch.setattr(ArrayStore, "known", lambda self, function, job: runs.trunk(job, None))
    options = {**method.candidates[0], **({"steps": 2} if method.rounds else {})}
    job = runs.Branch(method.name, 2, options, 3, "test")
    outcome = runs.Outcome.read(runs.branch(job, None, store))
    assert {norm for norm, _ in outcome.accuracy} == set(NORMS)
    assert (AS_TRAINED, Precision(2)) in outcome.accuracy
    assert ((AS_TRAINED, FULL) in outcome.accuracy) != method.rounds
    assert all(0 <= value <= 1 for value in outcome.accuracy.values())
    assert runs.branch(job, None, store)["error"] == outcome.error
