"""The tasks "pruning" and "joint": what they measure, their tables, words and pictures, and the search."""

from types import SimpleNamespace

import numpy as np
import pytest

from psgd_ref.cli import main
from psgd_ref.compress import sparsity
from psgd_ref.experiments.comparisons import tasks
from psgd_ref.experiments.comparisons.joint.task import JOINT
from psgd_ref.experiments.comparisons.pruning.sentences import sentences
from psgd_ref.experiments.comparisons.pruning.task import PRUNING
from psgd_ref.experiments.comparisons.shared.sparse import search
from psgd_ref.experiments.comparisons.shared.sparse.methods import (
    JOINT_METHODS,
    METHODS,
    NO_RETRAINING,
    SPARSITIES,
    chosen_options,
    train,
    way_of,
)
from psgd_ref.experiments.comparisons.shared.sparse.rows import Job, Key, Row, measure
from psgd_ref.experiments.shared.precision import FULL, Precision
from psgd_ref.experiments.shared.rows import AS_TRAINED, REESTIMATED

EVERY = (*METHODS, *JOINT_METHODS)


@pytest.mark.parametrize(
    "way", [way for way in EVERY if way.target in (FULL, Precision(3))], ids=lambda way: way.name
)
def test_every_way_gives_models_of_the_sparsities_asked_for(way, short):
    found = dict(train(way.name, chosen_options()[way.name], 5, (0.5, 0.98)))
    assert [share for share in found if share > 0] == [0.5, 0.98]
    assert (0.0 in found) == (way.retraining == NO_RETRAINING)
    for share, model in found.items():
        # The proximal step leaves zeros of its own.
        assert sparsity(model) == pytest.approx(share, abs=1e-4) or way.name == "L1"
        assert [part.role for part in model.segments].count("weight") == 4
    repeated = dict(train(way.name, chosen_options()[way.name], 5, (0.98,)))
    assert repeated[0.98].w.tobytes() == found[0.98].w.tobytes()


def test_what_is_measured_by_precision_grid_and_batch_norm(short):
    options, precisions = chosen_options()["SGD"], (FULL, Precision(3))
    job = Job("SGD", options, 0, (0.5,), precisions, ("min-max", "mse"), (AS_TRAINED, REESTIMATED))
    found = measure(job)
    kinds = [(FULL, "none"), (Precision(3), "min-max"), (Precision(3), "mse")]
    assert list(found) == [
        Key("SGD", share, precision, grid, norm)
        for share in (0.0, 0.5)
        for precision, grid in kinds
        for norm in (AS_TRAINED, REESTIMATED)
    ]
    assert all(0 <= accuracy <= 1 and seconds > 0 for accuracy, seconds in found.values())


def rows(precisions=(FULL,), ways=EVERY, seeds=3):
    """Made-up rows of the shape that the tasks measure, SGD's falling with sparsity."""
    rng, made = np.random.default_rng(0), []
    for way in ways:
        for precision in precisions:
            if way.targets and precision not in way.targets:
                continue
            for share in (0.0, *SPARSITIES) if way.retraining == NO_RETRAINING else SPARSITIES:
                for norm in (AS_TRAINED, REESTIMATED):
                    values = tuple((1 - share**4 * rng.uniform(0.5, 1, seeds)).tolist())
                    grid = "none" if precision == FULL else "min-max"
                    numbers = {"mean": float(np.mean(values)), "sd": 0.01, "seeds": seeds, "seconds": 1.0}
                    words = {"needs": way.needs, "retraining": way.retraining, "models": way.models}
                    made.append(
                        Row(
                            method=way.name,
                            precision=precision,
                            accuracies=values,
                            sparsity=share,
                            grid=grid,
                            batch_norm=norm,
                            **numbers,
                            **words,
                        )
                    )
    return made


def test_tables_say_what_every_way_needs(tmp_path):
    made = rows(ways=METHODS)
    text = PRUNING.table(made)
    heads = (
        "| trained by | 0 % | 50 % | 70 % | 80 % | 90 % | 95 % | 98 % | needs | retraining | trained models |"
    )
    assert text.count(heads) == 2
    snip = next(line for line in text.splitlines() if line.startswith("| SNIP |  | "))
    assert "| training from scratch | all 40 epochs | one for each sparsity |" in snip
    paths = tasks.save(PRUNING, made, tmp_path)
    assert all(path.stat().st_size > 1000 for path in paths.values())


def test_the_joint_table_has_a_part_for_every_precision(tmp_path):
    made = rows(precisions=(FULL, Precision(8), Precision(3)))
    text = JOINT.table(made)
    parts = [line for line in text.splitlines() if line.startswith("Test accuracy by sparsity, ")]
    assert len(parts) == 6
    assert parts[-1] == "Test accuracy by sparsity, W3A32, min-max grid, batch norms re-estimated:"
    paths = tasks.save(JOINT, made, tmp_path)
    assert all(path.stat().st_size > 1000 for path in paths.values())


def test_words_name_the_winner_whoever_it_is():
    def row(way, accuracies, norm=REESTIMATED, retraining="none"):
        return SimpleNamespace(
            method=way,
            sparsity=0.9,
            precision=FULL,
            batch_norm=norm,
            retraining=retraining,
            accuracies=accuracies,
        )

    found = [row("SGD", (0.5, 0.6)), row("PSGD → 0", (0.8, 0.7)), row("SNIP", (0.9, 0.9), retraining="all")]
    found += [row("PSGD → 0", (0.5, 0.5), AS_TRAINED)]
    text = sentences(found)
    assert "SNIP at 90 % (90.0 ± 0.0, PSGD → 0 -15.0 ± 7.1)" in text[0]
    assert "PSGD → 0 at 90 % (75.0 ± 7.1)" in text[1]
    assert text[2] == "PSGD → 0 less SGD, in points: +20.0 ± 14.1 at 90 %."
    assert "+25.0 ± 7.1 at 90 %" in text[3]


def test_joint_words_compare_training_for_both_with_pruning_alone():
    made = rows(precisions=(FULL, Precision(8), Precision(4), Precision(3)))
    texts = [text for text in JOINT.table(made).split("\n\n") if "the highest mean: " in text]
    assert [text.partition(",")[0] for text in texts] == ["W8A32", "W4A32", "W3A32"]
    assert "PSGD → 0 and W3 less PSGD → 0, in points: " in texts[-1]
    assert "PSGD → 0 and W3" not in texts[0]


def test_the_search_takes_the_best_mean_and_of_equals_the_first():
    def trial(way, weight_decay, value):
        return search.Trial(way, {"weight_decay": weight_decay}, {"0.8": value, "0.9": value})

    narrowest = search.NARROWEST
    found = search.Search(
        [trial("SGD", 1, 0.5), trial("SGD", 2, 0.7), trial("SGD", 3, 0.7), trial(narrowest, 4, 0.1)]
    )
    assert found.chosen == {"SGD": {"weight_decay": 2}} | {
        way.name: {"weight_decay": 4} for way in JOINT_METHODS
    }
    assert found.table().splitlines()[3].endswith("| chosen |")


def test_the_record_has_a_choice_for_every_way_among_its_candidates():
    chosen = chosen_options()
    assert set(chosen) == {way.name for way in EVERY}
    assert {len(candidates) for candidates in search.CANDIDATES.values()} == {6}
    for name, candidates in search.CANDIDATES.items():
        assert chosen[way_of(name).name] in candidates


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "pruning", "--bits", "W4"], "task joint takes bits"),
        (["--task", "joint", "--bits", "W4A8"], "bits of weights, as W3"),
        (["--task", "joint", "--methods", "magic"], "no method magic; the methods are SGD"),
        (["--search"], "--search is for the tasks training, pruning, joint"),
    ],
)
def test_bad_input_ends_with_status_2(arguments, message, tmp_path, capsys):
    assert main(["compare", *arguments, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
