"""The task "quantization": what a row needs, what the sentences conclude, and that every method runs."""

import json

import numpy as np
import pytest

from psgd_ref.data import load_digits
from psgd_ref.experiments.comparisons import (
    methods as registry,
)
from psgd_ref.experiments.comparisons import (
    tasks as compare,
)
from psgd_ref.experiments.comparisons.quantization import (
    post_training,
)
from psgd_ref.experiments.comparisons.quantization import (
    sentences as quantization_words,
)
from psgd_ref.experiments.comparisons.quantization import (
    task as quantization,
)
from psgd_ref.experiments.comparisons.quantization.post_training import GRIDS, WHOLE, Calibration, variants
from psgd_ref.experiments.comparisons.quantization.task import Job, measure
from psgd_ref.experiments.digits import study as demo
from psgd_ref.experiments.shared.precision import Precision, parse_precision
from psgd_ref.figures.comparisons.quantization import draw
from psgd_ref.models import convnet

SGD, W3, W2 = (method.name for method in demo.METHODS)
NORMS = ("as trained", "re-estimated")


def rows_of(gains):
    """Rows of SGD at 50 % and PSGD → W3 above it by `gains[post, norm]`, points, one for each seed."""
    rows = []
    for (post, norm), points in gains.items():
        for trained, extra in ((SGD, np.zeros(len(points))), (W3, np.array(points))):
            values = [(0.5 + value / 100, 0.1) for value in extra]
            rows.append(quantization._row((trained, post, norm, "W3A32"), values))
    return rows


def gains(first, last):
    middle = [1.0, 2.0, 3.0]
    return {
        ("min-max", "as trained"): first,
        ("MSE", "as trained"): middle,
        ("min-max", "re-estimated"): middle,
        ("MSE", "re-estimated"): last,
    }


@pytest.mark.parametrize(
    ("first", "last", "conclusion"),
    [
        ([10.0, 10.0, 10.0], [4.0, 4.0, 4.0], "Mending both accounts for 60% of the gain"),
        ([10.0, 11.0, 9.0], [0.1, -0.3, 0.2], "no gain beyond its spread is left"),
        ([10.0, 11.0, 9.0], [-3.0, -3.5, -2.5], "With both mended SGD is ahead"),
        ([5.0, 5.0, 5.0], [6.0, 6.0, 6.0], "does not lessen the gain"),
        ([-1.0, 9.0, -7.0], [6.0, 6.0, 6.0], "Before mending there is no gain beyond its spread"),
    ],
)
def test_conclusions_follow_from_the_rows(first, last, conclusion):
    fault, both = quantization_words.sentences(rows_of(gains(first, last)))
    assert conclusion in fault
    assert f"{np.mean(first):+.1f} ± {np.std(first, ddof=1):.1f} on the min-max grid" in fault
    assert f"MSE {50 + np.mean(last):.1f} and 50.0 ({np.mean(last):+.1f}" in both


def test_rows_that_are_missing_give_no_sentence():
    assert quantization_words.sentences(rows_of({("MSE", "as trained"): [1.0]})) == []


def test_rows_carry_what_was_asked_for():
    row = quantization._row((SGD, "MSE", "re-estimated", "W3A8"), [(0.5, 1.0), (0.7, 3.0)])
    assert (row.method, row.needs, row.bits, row.seeds, row.seconds) == (
        "SGD + MSE, re-estimated",
        "unlabelled data",
        "W3A8",
        2,
        2.0,
    )
    assert row.mean == pytest.approx(0.6)
    assert row.sd == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert quantization._row((SGD, "MSE", "as trained", "W3A8"), [(0.5, 1.0)]).sd is None


@pytest.mark.parametrize(
    ("trained", "post", "norm", "bits", "needs"),
    [
        (SGD, "min-max", "as trained", "W4A32", "nothing"),
        (SGD, "min-max", "as trained", "W4A8", "unlabelled data"),
        (SGD, "DFQ", "as trained", "W4A4", "nothing"),
        (SGD, "LAPQ", "as trained", "W4A32", "labelled data"),
        (SGD, "DFQ", "re-estimated", "W4A32", "unlabelled data"),
        (W3, "DFQ", "as trained", "W4A32", "training from scratch"),
    ],
)
def test_needs_are_those_of_the_most_demanding_part(trained, post, norm, bits, needs):
    assert quantization._row((trained, post, norm, bits), [(0.5, 1.0)]).needs == needs


def test_every_registered_method_runs_and_no_other(monkeypatch):
    monkeypatch.setattr(post_training, "LAPQ_EVALUATIONS", 3)
    names = {method.name for method in registry.named(quantization.METHODS, "post-training")}
    assert names == GRIDS.keys() | WHOLE.keys()
    model, data = convnet(widths=(4, 4), seed=0), load_digits()
    calibration = Calibration.of(data)
    calibration = Calibration(calibration.images[:32], calibration.labels[:32], calibration.all[:64])
    before = model.w.copy()
    for name in names:
        found = list(variants(name, model, Precision(3, 4), calibration, NORMS))
        assert [variant.batch_norm for variant in found] == list(NORMS)
        logits = [variant.model.forward(calibration.images) for variant in found]
        assert np.isfinite(logits).all()
        assert not np.allclose(*logits)
        assert found[0].seconds > 0
    assert np.array_equal(model.w, before)


def test_a_short_comparison_from_training_to_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "EPOCHS", 1)
    monkeypatch.setattr(demo, "CHANNELS", (4, 4))
    precisions = (Precision(3), Precision(3, 8))
    jobs = [
        Job(method, {"lr": 0.1, "momentum": 0.9}, seed, ("min-max", "MSE"), NORMS, precisions)
        for method in demo.METHODS[:2]
        for seed in (0, 1)
    ]
    found = {}
    for job in jobs:
        for key, value in measure(job).items():
            found.setdefault(key, []).append(value)
    rows = [quantization._row(key, values) for key, values in found.items()]
    assert len(rows) == 2 * (1 + 2 * 2 * 2)
    assert all(0 <= row.mean <= 1 for row in rows)
    paths = compare.save(quantization, rows, tmp_path)
    assert all(path.stat().st_size > 0 for path in paths.values())
    assert json.loads(paths["rows"].read_text())[0]["bits"] == "full"
    table = paths["table"].read_text()
    assert "| SGD | MSE | re-estimated |" in table
    assert "W3A8" in table
    assert "How much of PSGD's gain" in table


def test_picture_has_a_panel_for_each_precision_below_eight_bits():
    rows = [
        quantization._row((SGD, post, norm, bits), [(0.5, 0.1), (0.6, 0.1)])
        for post in ("min-max", "MSE")
        for norm in NORMS
        for bits in ("W8A32", "W4A32", "W3A32", "W2A32", "W2A4")
    ]
    panels = [ax for ax in draw(rows).axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in panels] == ["(a) W4A32", "(b) W3A32", "(c) W2A32", "(d) W2A4"]


@pytest.mark.parametrize(
    ("text", "precision"),
    [("W3A8", Precision(3, 8)), ("w3", Precision(3)), ("3", Precision(3)), ("W4A32", Precision(4))],
)
def test_precisions_are_parsed(text, precision):
    assert parse_precision(text) == precision
