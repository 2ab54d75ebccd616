"""The CIFAR-10 table end to end on a handful of images: its recipe, its restarts, its rows and words."""

import json
from concurrent.futures import BrokenExecutor, Future
from dataclasses import replace

import pytest

from psgd_ref.data import catalogue
from psgd_ref.experiments.course import stored
from psgd_ref.experiments.reproduction.cifar10 import recipe as recipes
from psgd_ref.experiments.reproduction.cifar10 import table as tables
from psgd_ref.experiments.reproduction.cifar10.recipe import Recipe
from psgd_ref.experiments.reproduction.cifar10.table import Result, Row, estimate, run, save, so_far
from psgd_ref.experiments.reproduction.cifar10.text import sentences, table, text
from psgd_ref.experiments.shared.methods import Need
from psgd_ref.experiments.shared.precision import Precision
from psgd_ref.experiments.sweeps.driver import RUNS
from psgd_ref.experiments.sweeps.plan import Measure
from psgd_ref.training.runs.run import read_metrics
from tests.data.archives import small_cifar
from tests.experiments.sweeps.sweeps import here

TINY = Recipe("resnet8", epochs=2, seeds=(0,))


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder with thirty images to train on, ten of them for validation, and ten to test on."""
    source, files, _, _ = small_cifar()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setitem(catalogue.SOURCES, "cifar10", source)
    monkeypatch.setattr(catalogue, "VALIDATION", 10)
    return tmp_path


def test_the_recipe_is_the_official_one_in_proportion():
    full = Recipe("resnet32", epochs=150, seeds=(3, 4))
    assert (full.trunk_epochs, full.branch_epochs) == (82, 68)
    trunk = full.trunks()[1].configuration
    assert (trunk.optimizer, trunk.lr, trunk.milestones, trunk.seed) == ("sgd", 0.1, (81,), 4)
    short = Recipe("resnet20", epochs=30)
    assert (short.trunk_epochs, short.branch_epochs) == (16, 14)
    with pytest.raises(ValueError, match="epochs must be a whole number >= 2"):
        Recipe(epochs=1)


def test_every_branch_has_the_same_start_epochs_and_rate(tmp_path):
    start = tmp_path / "trunk.safetensors"
    start.write_bytes(b"weights")
    recipe = Recipe("resnet32", epochs=150, seeds=(3,), ablation=True)
    found = {branch.name: runs[0].configuration for branch, runs in recipe.runs([start])}
    assert {(c.start, c.epochs, c.milestones, c.seed) for c in found.values()} == {(str(start), 68, (41,), 3)}
    main = [found[name] for name in ("SGD", "PSGD → W4", "PSGD → W3", "PSGD → W2")]
    assert [c.optimizer for c in main] == ["sgd", "psgd", "psgd", "psgd"]
    assert [(c.bits, c.weight_decay, c.strength, c.lr) for c in main[1:]] == [
        (4, 1e-4, "volume", 0.01),
        (3, 1e-4, "volume", 0.01),
        (2, 0.0, "volume", 0.01),
    ]
    assert (found["LSQ W2"].quantizer, found["LSQ W2"].bits, found["LSQ W2"].weight_decay) == (
        "lsq",
        2,
        0.25e-4,
    )
    assert found["PSGD → W4, λ = 150"].strength == 150
    assert found["PSGD → W2, MSE grid, capped"].cap
    assert (found["SGD, rate × 2"].optimizer, found["SGD, rate × 2"].lr) == ("sgd", 0.02)
    assert len({run.identity for _, runs in recipe.runs([start]) for run in runs}) == len(found) == 21


class Breaking:
    """An executor whose workers are lost after some runs."""

    def __init__(self, lives):
        self.lives = lives

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, function, job):
        future = Future()
        if self.lives == 0:
            future.set_exception(BrokenExecutor())
        else:
            self.lives -= 1
            future.set_result(function(job))
        return future


def test_end_to_end_interrupted_and_gone_on_with(images, tmp_path, monkeypatch):
    short = Measure((3,), grids=("min-max", "mse"), split="test")
    monkeypatch.setattr(recipes, "MEASURE", short)
    learned = replace(short, bits=(), grids=("min-max",))
    monkeypatch.setattr(recipes, "AS_LEARNED", learned)
    assert so_far(TINY, tmp_path / "runs").problems == ["trunk seed=0 is not done; the same command goes on"]
    lives = iter([1, 2, 0, 0, 0])
    part = run(TINY, tmp_path / "runs", lambda: Breaking(next(lives)), images)
    assert len(part.problems) == 6
    assert all(problem.endswith("is not done; the same command goes on") for problem in part.problems)
    assert {row.branch for row in part.rows} == {"SGD", "PSGD → W4"}
    assert so_far(TINY, tmp_path / "runs") == part
    whole = run(TINY, tmp_path / "runs", here, images)
    assert whole.problems == []
    # What was there before is there still, with its seconds: it was not computed again.
    assert [row for row in whole.rows if row.branch in ("SGD", "PSGD → W4")] == part.rows
    assert len(whole.rows) == 5 * 2 * 2 + 3
    assert len(whole.sources) == 9
    folders = list((tmp_path / "runs" / RUNS).iterdir())
    assert [len(read_metrics(folder)) for folder in folders] == [1] * 9
    words = text(whole, published=False)
    paths = save(whole, tmp_path / "out", words)
    assert paths["table"].read_text().startswith("resnet8 on CIFAR-10, 1 seeds (0): 1 epochs of SGD, then 1")
    assert len(json.loads(paths["numbers"].read_text())["rows"]) == 23
    assert sum(line.startswith("| PSGD → W3 |") for line in words.splitlines()) == 2


@pytest.mark.parametrize("model", ["resnet20", "resnet32"])
def test_the_stored_table_is_that_of_the_stored_rows(model):
    record = stored(f"cifar10/{model}/table.json")
    result = Result.read(json.loads(record))
    assert json.dumps(result.as_json(), indent=1, ensure_ascii=False) + "\n" == record
    published = "the published archive" in stored(f"cifar10/{model}/table.md")
    assert text(result, published) + "\n" == stored(f"cifar10/{model}/table.md")


def row(branch, how, bits, *accuracies):
    return Row(branch, Need.LABELS, Precision(bits), 0, 0, 2, 0, accuracies, branch, *how, 0.1)


def test_sentences_follow_the_numbers():
    plain, calibrated = ("min-max", "as trained"), ("mse", "re-estimated")
    rows = [row("SGD", plain, None, 0.9, 0.9), row("PSGD → W3", plain, None, 0.8, 0.8)]
    rows += [row("SGD", plain, 3, 0.5, 0.5), row("PSGD → W3", plain, 3, 0.7, 0.7)]
    rows += [row("SGD", calibrated, 3, 0.7, 0.8), row("PSGD → W3", calibrated, 3, 0.71, 0.79)]
    loss, added = sentences(rows)
    assert loss == (
        "W3, min-max grid, nothing calibrated: SGD loses 40.0 points, PSGD → W3 10.0. "
        "The paper's effect appears here."
    )
    assert added.endswith(
        "SGD 75.0, PSGD → W3 75.0; PSGD adds +0.0 points (+1.0, -1.0 by seed, of changing sign)."
    )
    double = row("SGD, rate × 2", calibrated, 3, 0.7, 0.9)
    assert sentences([*rows, double])[1].endswith(" SGD at twice the rate, PSGD's mean scale: 80.0.")
    rows[3] = row("PSGD → W3", plain, 3, 0.7, 0.3)
    assert sentences(rows)[0].endswith("PSGD → W3 30.0. The paper's effect appears in 1 of 2 seeds here.")
    rows[3] = row("PSGD → W3", plain, 3, 0.2, 0.3)
    assert sentences(rows)[0].endswith("The paper's effect does not appear here.")
    changed = "PSGD → W3, label smoothing 0.1"
    assert sentences([*rows, row(changed, calibrated, 3, 0.72, 0.81)])[-1] == (
        "W3, calibrated, label smoothing 0.1: 76.5, +1.5 points (+1.0, +2.0 by seed, in every seed) "
        "against PSGD → W3."
    )
    first = table(rows).splitlines()[2]
    assert first == "| SGD | min-max | as trained | 90.0 ± 0.0 |  | 50.0 ± 0.0 |  | 0.10 |"


def test_the_estimate_is_that_of_the_work_to_do():
    one = estimate(Recipe("resnet20", 30, (0,)), 1, lambda model: 0.128)
    assert one == pytest.approx(estimate(Recipe("resnet20", 30, (0, 1)), 2, lambda model: 0.128))
    # A millisecond an image: 45,000 images and two looks at 5,000 in 128 epochs, and 2.5 passes of 10,000
    # for each rounded model: SGD's 12, those of four runs of PSGD (4 each) and three of LSQ.
    expected = ((16 + 8 * 14) * (45_000 + 2 * 5_000 / 3) + (12 + 4 * 4 + 3) * 2.5 * 10_000 / 3) / 1000 / 3600
    assert one == pytest.approx(expected)


def test_a_step_is_timed():
    assert 0 < tables._step_seconds("resnet8") < 60
