"""Bayesian Bits in the task "joint": what is measured, its table, words and panel."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from psgd_ref.cli import main
from psgd_ref.compress import BayesianBits, insert_fake_quantizers, remove_parametrizations, sparsity
from psgd_ref.compress.quantization_aware.fake_quantizer import fake_quantizers
from psgd_ref.experiments.comparisons import tasks
from psgd_ref.experiments.comparisons.joint.bayesian_bits import (
    LEARNED,
    Job,
    LearnedRow,
    Outcome,
    learned,
    measure,
    row_of,
    sentences,
)
from psgd_ref.experiments.comparisons.joint.task import JOINT
from psgd_ref.experiments.comparisons.shared.sparse.methods import network
from psgd_ref.experiments.comparisons.shared.sparse.rows import Row
from psgd_ref.experiments.shared.precision import FULL, MIXED, Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED


def test_mean_bits_and_sparsity_count_by_hand():
    model = network(0)
    insert_fake_quantizers(model, BayesianBits, 8)
    pairs = list(fake_quantizers(model))
    # Half of the first layer's channels are shut; the second has 2 bits, the others 8.
    pairs[0][1].prune.value[::2] = -9
    pairs[1][1].gates.value[0] = -9
    sizes = [link.layer.weight.value.size for link, _ in pairs]
    kept = np.array([sizes[0] / 2, *sizes[1:]])
    widths = np.array([8, 2, *(8 for _ in sizes[2:])])
    assert learned(model) == pytest.approx((sizes[0] / 2 / sum(sizes), kept @ widths / kept.sum()))
    # Rounding to zero adds to what the gates prune.
    folded = remove_parametrizations(model)
    assert sparsity(folded) > learned(model)[0]
    first = next(part for part in folded.segments if part.role == "weight").view(folded.w)
    assert not first[..., ::2].any()
    for _, quantizer in pairs:
        quantizer.prune.value[...] = -9
    assert learned(model) == (1, 0)
    assert sparsity(remove_parametrizations(model)) == 1


def test_a_run_is_the_same_when_repeated(short):
    first, second = (measure(Job(0.1, 5)) for _ in range(2))
    assert list(first.accuracy) == [AS_TRAINED, REESTIMATED]
    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)
    assert 0 <= first.pruned <= first.zeros <= 1
    assert 2 <= first.width <= 8


def rows(seeds=3):
    """Made-up rows through the function that makes the task's."""
    outcomes = [
        Outcome(0.6 + 0.01 * i, 0.7, 3.5 + 0.1 * i, {AS_TRAINED: 0.9, REESTIMATED: 0.95}, 1.0)
        for i in range(seeds)
    ]
    return [row_of(cost, norm, outcomes) for cost in (0.1, 0.3) for norm in (AS_TRAINED, REESTIMATED)]


def test_rows_reach_table_record_and_picture(tmp_path):
    made = rows()
    assert (made[0].sparsity, made[0].precision, made[0].grid) == (pytest.approx(0.61), MIXED, LEARNED)
    assert made[0].as_json()["bits"] == "W3.6A32"
    assert LearnedRow.read(json.loads(json.dumps(made[0].as_json()))) == made[0]
    fixed = [
        replace_row(
            made[0], method="SGD", sparsity=share, precision=Precision(3), grid="min-max", batch_norm=norm
        )
        for share in (0.5, 0.7)
        for norm in (AS_TRAINED, REESTIMATED)
    ]
    paths = tasks.save(JOINT, [*fixed, *made], tmp_path)
    text = paths["table"].read_text(encoding="utf-8")
    cells = "61.0 ± 1.0 | 70.0 ± 0.0 | 3.6 ± 0.1 | 90.0 ± 0.0 | 95.0 ± 0.0"
    assert f"| Bayesian Bits, μ = 0.1 | {cells} | labelled data |" in text
    assert json.loads(paths["rows"].read_text(encoding="utf-8"))[-1]["widths"] == [3.5, 3.6, 3.7]
    assert [ax.get_title(loc="left")[:3] for ax in JOINT.draw([*fixed, *made]).axes] == ["(a)", "(b)"]
    assert len(JOINT.draw(fixed).axes) == 1
    assert len(JOINT.draw(made).axes) == 1


def replace_row(row, **changes):
    """A row of the other ways: without seeds' shares and widths."""
    fields = {key: value for key, value in vars(row).items() if key not in ("shares", "zeros", "widths")}
    return Row(**{**fields, **changes})


def test_words_compare_with_rows_that_are_as_small():
    def row(way, share, precision, accuracies):
        return SimpleNamespace(
            method=way,
            sparsity=share,
            precision=precision,
            grid="mse",
            batch_norm=REESTIMATED,
            accuracies=accuracies,
            mean=np.mean(accuracies),
            cell="…",
        )

    own = replace(
        rows(2)[1], sparsity=0.6, widths=(3.5, 3.7), accuracies=(0.9, 0.8), mean=0.85, method="Bayesian Bits"
    )
    # More bits, fewer weights pruned, full precision: none is as small.
    larger = [row("A", 0.7, Precision(4), (1, 1)), row("B", 0.5, Precision(3), (1, 1))]
    larger += [row("C", 0.9, FULL, (1, 1))]
    (alone,) = sentences([own], larger)
    assert "Bayesian Bits (60.0 % pruned, 3.6 bits: 85.0 ± 7.1): no row above is as small." in alone
    (text,) = sentences(
        [own], [*larger, row("D", 0.7, Precision(3), (0.95, 0.85)), row("E", 0.9, Precision(3), (0, 0))]
    )
    assert "D at 70 %, W3, mse grid (…) is +5.0 ± 0.0 points ahead" in text
    assert sentences([], larger) == []


def test_it_is_among_the_methods_of_the_task(capsys):
    assert main(["compare", "--list"]) == 0
    assert "| joint | Bayesian Bits | training | labelled data |" in capsys.readouterr().out
