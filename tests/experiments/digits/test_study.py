"""The demonstration's bookkeeping: the rule of the search, the table, the files, and the picture."""

import json
from pathlib import Path

import numpy as np

from psgd_ref.compress import MinMaxGrid
from psgd_ref.experiments.course import stored
from psgd_ref.experiments.digits import recipe, rounding, search, study
from psgd_ref.experiments.digits.search import Trial
from psgd_ref.experiments.shared.methods import method_of
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.search_record import read_record

ROOT = Path(__file__).parent.parent.parent.parent


def trial(method, lr, full, own):
    validation = dict.fromkeys(study.PRECISIONS, 0.5) | {FULL: full}
    return Trial(method, {"lr": lr}, validation | {method_of(recipe.METHODS, method).target: own})


def test_the_rule_takes_the_best_at_its_own_width_and_of_equals_the_first():
    sgd, w3, w2, decay = (method.name for method in recipe.METHODS)
    trials = [
        trial(sgd, 0.1, 0.98, 0.98),
        trial(sgd, 0.3, 0.99, 0.99),
        trial(w3, 0.1, 0.985, 0.90),
        trial(w3, 0.3, 0.981, 0.95),
        trial(w3, 1.0, 0.970, 0.99),
        trial(w2, 0.1, 0.99, 0.80),
        trial(w2, 0.3, 0.99, 0.80),
        trial(decay, 0.1, 0.99, 0.80),
        trial(decay, 0.3, 0.90, 0.85),
    ]
    chosen = search.choose(trials)
    assert {name: o["lr"] for name, o in chosen.items()} == {sgd: 0.3, w3: 1.0, w2: 0.1, decay: 0.3}


def test_the_recorded_search_follows_its_own_rule():
    record = read_record("psgd_ref.experiments.digits")
    trials = [Trial.read(entry) for entry in record["trials"]]
    assert [trial.as_json() for trial in trials] == record["trials"]
    assert record["rule"] == search.RULE
    assert record["chosen"] == search.choose(trials)
    assert set(record["chosen"]) == {method.name for method in recipe.METHODS}
    tried = [(t.method, t.options) for t in trials]
    assert tried == [(m.name, c) for m in recipe.METHODS for c in search.candidates(m)]


def fake_result():
    rng = np.random.default_rng(0)
    names = ["SGD", "SGD + MSE clipping", "PSGD → W3", "PSGD → W2", "PSGD + grid decay → W2"]
    rows = [
        study.Row(
            name,
            {precision: rng.uniform(0.5, 1, 5).tolist() for precision in study.PRECISIONS},
            {precision: rng.uniform(0, 1, 5).tolist() for precision in study.ERROR_PRECISIONS},
        )
        for name in names
    ]
    models = {method.name: recipe.network(0) for method in recipe.METHODS}
    return study.Result([0, 1, 2, 3, 4], {}, rows, 1.0, models)


def test_saved_numbers_are_those_of_the_table_and_the_picture_is_drawn(tmp_path):
    result = fake_result()
    paths = study.save(result, tmp_path / "new" / "folder")
    rows = json.loads(paths["numbers"].read_text(encoding="utf-8"))["rows"]
    table = paths["table"].read_text(encoding="utf-8").splitlines()
    assert len(table) == 2 + len(rows)
    for line, row in zip(table[2:], rows, strict=True):
        values = 100 * np.array(row["accuracy"]["W2"])
        assert f"| {values.mean():.1f} ± {values.std(ddof=1):.1f} |" in line
        assert line.startswith(f"| {row['method']} |")
    assert paths["picture"].stat().st_size > 10_000


def test_the_stored_table_is_that_of_the_stored_numbers():
    rows = [study.Row.read(record) for record in json.loads(stored("demo/numbers.json"))["rows"]]
    assert study.table(rows) + "\n" == stored("demo/table.md")
    assert rows[0].accuracy[Precision(2)] != rows[0].accuracy[FULL]


def test_histograms_count_every_weight_of_the_layer_on_its_grid():
    result = fake_result()
    for histogram in study.histograms(result.models):
        size = recipe.network(0).segment(study.LAYER)
        assert histogram.weights.size == histogram.codes.size == size.stop - size.start
        top = 2 ** (histogram.bits - 1) - 1
        assert np.abs(histogram.weights.clip(-top, top) - histogram.codes).max() <= 0.5 + 1e-6
        assert np.abs(histogram.codes).max() == top


def test_the_grid_that_is_clipped_is_the_min_max_grid_at_the_share_1():
    w = np.random.default_rng(0).normal(size=50)
    assert rounding.ClippedGrid(3).fit(w) == MinMaxGrid(3).fit(w)
    assert np.isclose(rounding.ClippedGrid(3, share=0.5).fit(w).step, MinMaxGrid(3).fit(w).step / 2)


def test_what_the_playground_shows_is_of_the_demonstration():
    found = json.loads((ROOT / "notebooks/demo/rounding.json").read_text(encoding="utf-8"))
    assert [method["name"] for method in found["methods"]] == [method.name for method in recipe.METHODS]
    assert (found["bits"], found["shares"]) == (list(rounding.BITS), list(rounding.SHARES))
    numbers = json.loads((ROOT / "notebooks/demo/numbers.json").read_text(encoding="utf-8"))
    rows = {row["method"]: row["accuracy"]["full"] for row in numbers["rows"]}
    for method in found["methods"]:
        assert abs(method["full"][0] - 100 * np.mean(rows[method["name"]])) < 0.051
        assert np.shape(method["accuracy"]) == (len(rounding.SHARES), len(rounding.BITS))
