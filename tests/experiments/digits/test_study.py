"""The demonstration's bookkeeping: the rule of the search, the table, the files, and the picture."""

import json

import numpy as np

from psgd_ref.experiments.digits import (
    search as demo_search,
)
from psgd_ref.experiments.digits import (
    study as demo,
)
from psgd_ref.experiments.digits.search import Trial
from psgd_ref.experiments.shared.search_record import read_record
from psgd_ref.models import convnet


def trial(method, lr, full, own):
    validation = dict.fromkeys(demo.COLUMNS, 0.5) | {"full": full}
    column = next(m.own_column for m in demo.METHODS if m.name == method)
    return Trial(method, {"lr": lr}, validation | {column: own})


def test_the_rule_keeps_full_precision_and_takes_the_best_at_its_own_width():
    sgd, w3, w2 = (method.name for method in demo.METHODS)
    trials = [
        trial(sgd, 0.1, 0.98, 0.98),
        trial(sgd, 0.3, 0.99, 0.99),
        trial(w3, 0.1, 0.985, 0.90),
        trial(w3, 0.3, 0.981, 0.95),
        trial(w3, 1.0, 0.970, 0.99),
        trial(w2, 0.1, 0.99, 0.80),
        trial(w2, 0.3, 0.99, 0.80),
    ]
    chosen = demo_search.choose(trials)
    assert {name: options["lr"] for name, options in chosen.items()} == {sgd: 0.3, w3: 0.3, w2: 0.1}
    assert w2 not in demo_search.choose([*trials[:5], trial(w2, 0.1, 0.5, 0.9)])


def test_the_recorded_search_follows_its_own_rule():
    record = read_record("psgd_ref.experiments.digits")
    trials = [Trial(**entry) for entry in record["trials"]]
    assert record["rule"] == demo_search.RULE
    assert record["chosen"] == demo_search.choose(trials)
    assert set(record["chosen"]) == {method.name for method in demo.METHODS}
    tried = [(t.method, t.options) for t in trials]
    assert tried == [(m.name, c) for m in demo.METHODS for c in demo_search.candidates(m)]


def fake_result():
    rng = np.random.default_rng(0)
    names = ["SGD", "SGD + MSE clipping", "PSGD → W3", "PSGD → W2"]
    rows = [
        demo.Row(
            name,
            {column: rng.uniform(0.5, 1, 5).tolist() for column in demo.COLUMNS},
            {f"W{bits}": rng.uniform(0, 1, 5).tolist() for bits in demo.ERROR_WIDTHS},
        )
        for name in names
    ]
    models = {method.name: convnet(widths=demo.CHANNELS) for method in demo.METHODS}
    return demo.Result([0, 1, 2, 3, 4], {}, rows, 1.0, models)


def test_saved_numbers_are_those_of_the_table_and_the_picture_is_drawn(tmp_path):
    result = fake_result()
    paths = demo.save(result, tmp_path / "new" / "folder")
    rows = json.loads(paths["numbers"].read_text(encoding="utf-8"))["rows"]
    table = paths["table"].read_text(encoding="utf-8").splitlines()
    assert len(table) == 2 + len(rows)
    for line, row in zip(table[2:], rows, strict=True):
        values = 100 * np.array(row["accuracy"]["W2"])
        assert f"| {values.mean():.1f} ± {values.std(ddof=1):.1f} |" in line
        assert line.startswith(f"| {row['method']} |")
    assert paths["picture"].stat().st_size > 10_000


def test_histograms_count_every_weight_of_the_layer_on_its_grid():
    result = fake_result()
    for histogram in demo.histograms(result.models):
        size = convnet(widths=demo.CHANNELS).segment(demo.LAYER)
        assert histogram.weights.size == histogram.codes.size == size.stop - size.start
        assert np.abs(histogram.weights - histogram.codes).max() <= 0.5 + 1e-6
        assert np.abs(histogram.codes).max() == 2 ** (histogram.bits - 1) - 1
