"""The task "quantization": what a row needs, what the sentences conclude, and that every method runs."""

import json

import numpy as np
import pytest

from psgd_ref.data import load_digits
from psgd_ref.experiments.comparisons import tasks
from psgd_ref.experiments.comparisons.quantization.sentences import sentences
from psgd_ref.experiments.comparisons.quantization.task import (
    METHODS,
    QUANTIZATION,
    Job,
    Key,
    measure,
    row_of,
)
from psgd_ref.experiments.comparisons.shared import post_training
from psgd_ref.experiments.comparisons.shared.post_training import GRIDS, WHOLE, Calibration, variants
from psgd_ref.experiments.digits import recipe, study
from psgd_ref.experiments.shared.methods import named
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.figures.comparisons.quantization import REESTIMATED, draw
from psgd_ref.models import convnet

SGD, W3, W2 = (method.name for method in recipe.PAPER_METHODS)
NORMS = ("as trained", "re-estimated")


def rows_of(gains):
    """Rows of SGD at 50 % and PSGD → W3 above it by `gains[post, norm]`, points, one for each seed."""
    rows = []
    for (post, norm), points in gains.items():
        for trained, extra in ((SGD, np.zeros(len(points))), (W3, np.array(points))):
            values = [(0.5 + value / 100, 0.1) for value in extra]
            rows.append(row_of(Key(trained, post, norm, Precision(3)), values))
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
        ([10.0, 10.0, 10.0], [4.0, 4.0, 4.0], "Calibrating both accounts for 60% of the gain"),
        ([10.0, 11.0, 9.0], [0.1, -0.3, 0.2], "no gain beyond its spread is left"),
        ([10.0, 11.0, 9.0], [-3.0, -3.5, -2.5], "With both calibrated SGD is ahead"),
        ([5.0, 5.0, 5.0], [6.0, 6.0, 6.0], "does not lessen the gain"),
        ([-1.0, 9.0, -7.0], [6.0, 6.0, 6.0], "Before calibration there is no gain beyond its spread"),
    ],
)
def test_conclusions_follow_from_the_rows(first, last, conclusion):
    fault, both = sentences(rows_of(gains(first, last)))
    assert conclusion in fault
    assert f"{np.mean(first):+.1f} ± {np.std(first, ddof=1):.1f} on the min-max grid" in fault
    assert f"MSE {50 + np.mean(last):.1f} and 50.0 ({np.mean(last):+.1f}" in both


def test_rows_that_are_missing_give_no_sentence():
    assert sentences(rows_of({("MSE", "as trained"): [1.0]})) == []


def test_rows_carry_what_was_asked_for():
    row = row_of(Key(SGD, "MSE", "re-estimated", Precision(3, 8)), [(0.5, 1.0), (0.7, 3.0)])
    assert (row.method, str(row.needs), row.precision) == (
        "SGD + MSE, re-estimated",
        "unlabelled data",
        Precision(3, 8),
    )
    assert (row.seeds, row.seconds) == (2, 2.0)
    assert row.mean == pytest.approx(0.6)
    assert row.sd == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert row_of(Key(SGD, "MSE", "as trained", Precision(3, 8)), [(0.5, 1.0)]).sd is None


@pytest.mark.parametrize(
    ("trained", "post", "norm", "precision", "needs"),
    [
        (SGD, "min-max", "as trained", Precision(4), "nothing"),
        (SGD, "min-max", "as trained", Precision(4, 8), "unlabelled data"),
        (SGD, "DFQ", "as trained", Precision(4, 4), "nothing"),
        (SGD, "LAPQ", "as trained", Precision(4), "labelled data"),
        (SGD, "DFQ", "re-estimated", Precision(4), "unlabelled data"),
        (W3, "DFQ", "as trained", Precision(4), "training from scratch"),
    ],
)
def test_needs_are_those_of_the_most_demanding_part(trained, post, norm, precision, needs):
    assert str(row_of(Key(trained, post, norm, precision), [(0.5, 1.0)]).needs) == needs


def test_every_registered_method_runs_and_no_other(monkeypatch):
    monkeypatch.setattr(post_training, "LAPQ_EVALUATIONS", 3)
    names = {method.name for method in named(METHODS, "post-training")}
    assert names == GRIDS.keys() | WHOLE.keys()
    model, data = convnet(widths=(2, 4), seed=0, dtype=np.float64), load_digits()
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


def test_a_short_comparison_from_training_to_picture(short, tmp_path):
    precisions = (Precision(3), Precision(3, 8))
    jobs = [
        Job(
            study.Run(method, {"lr": 0.1, "momentum": 0.9}, seed, "test"),
            ("min-max", "MSE"),
            NORMS,
            precisions,
        )
        for method in recipe.METHODS[:2]
        for seed in (0, 1)
    ]
    found = {}
    for job in jobs:
        for key, value in measure(job).items():
            found.setdefault(key, []).append(value)
    rows = [row_of(key, values) for key, values in found.items()]
    assert len(rows) == 2 * (1 + 2 * 2 * 2)
    assert all(0 <= row.mean <= 1 for row in rows)
    paths = tasks.save(QUANTIZATION, rows, tmp_path)
    assert all(path.stat().st_size > 0 for path in paths.values())
    assert json.loads(paths["rows"].read_text())[0]["bits"] == "full"
    table = paths["table"].read_text()
    assert "| SGD | MSE | re-estimated |" in table
    assert "W3A8" in table
    assert "How much of PSGD's gain" in table


def test_picture_has_a_panel_for_each_precision_below_eight_bits():
    rows = [
        row_of(Key(SGD, post, norm, precision), [(0.5, 0.1), (0.6, 0.1)])
        for post in ("min-max", "MSE")
        for norm in NORMS
        for precision in (*map(Precision, (8, 4, 3, 2)), Precision(2, 4))
    ]
    panels = [ax for ax in draw(rows).axes if ax.get_visible()]
    assert [ax.get_title(loc="left") for ax in panels] == ["(a) W4A32", "(b) W3A32", "(c) W2A32", "(d) W2A4"]


@pytest.mark.parametrize("every_norm", [NORMS, NORMS[::-1]], ids=str)
def test_marks_are_filled_where_the_legend_says_re_estimated_and_the_errors_are_those_of_their_rows(
    every_norm,
):
    """Filled: batch norms re-estimated, open: as trained; whichever comes first."""
    means = {"as trained": 0.5, "re-estimated": 0.9}
    rows = [
        row_of(Key(trained, post, norm, Precision(3)), [(means[norm], 0.1)])
        for trained in (SGD, W3)
        for post in ("min-max", "MSE")
        for norm in every_norm
    ]
    figure = draw(rows)
    (panel,) = figure.axes
    seen = {}
    for bars in panel.containers:
        (line, _, _) = bars
        filled = line.get_markerfacecolor() == line.get_color()
        assert filled or line.get_markerfacecolor() == "white"
        seen[bars.get_label()] = filled
        norm = bars.get_label().rpartition("batch norms ")[2]
        assert line.get_ydata() == pytest.approx([100 * (1 - means[norm])] * 2)
    assert seen == {
        f"{name}, batch norms {norm}": norm == REESTIMATED for name in (SGD, W3) for norm in NORMS
    }
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(seen)


def test_measuring_trains_once_and_looks_at_no_other_image(short, monkeypatch):
    """The demonstration's own measurements, on grids that this task does not show, are not made."""
    monkeypatch.setattr(study, "evaluate", None)
    found = measure(Job(study.Run(recipe.BASELINE, {"lr": 0.1}, 0, "test"), (), (), ()))
    assert list(found) == [Key(SGD, "none", "as trained", FULL)]
