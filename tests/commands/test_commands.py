"""The subcommands data, train and evaluate: what they print, and how they refuse."""

import json

import pytest

from psgd_ref.compress import quantize
from psgd_ref.data import NAMES
from psgd_ref.interop import save_safetensors
from psgd_ref.interop.alone import LOCK, alone
from psgd_ref.models import resnet
from psgd_ref.training.runs.checkpoint import checkpoints
from psgd_ref.training.runs.configuration import Configuration
from psgd_ref.training.runs.saved import open_saved
from tests.command import run

QUICK = ["--data", "moons", "--epochs", "2", "--batch-size", "600", "--lr", "0.2"]


def test_data_list_shows_every_set(capsys, tmp_path):
    status, out, _ = run(capsys, "data", "list", "--data-dir", tmp_path)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == list(NAMES)
    _, out, _ = run(capsys, "data", "list", "--data-dir", tmp_path, "--json")
    assert [entry["name"] for entry in json.loads(out)] == list(NAMES)


def test_data_check_and_fetch_of_a_built_in_set(capsys, tmp_path):
    status, out, _ = run(capsys, "data", "check", "digits", "--data-dir", tmp_path)
    assert (status, out) == (
        0,
        "digits: 1000 train, 300 validation, 497 test images of 10 classes, readable\n",
    )
    assert run(capsys, "data", "fetch", "moons")[:2] == (0, "moons: built in, nothing to fetch\n")
    _, out, _ = run(capsys, "data", "check", "digits", "--json")
    assert json.loads(out)["train"] == 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "check", "cifar10", "--data-dir", "{folder}"], "psgd-ref data fetch cifar10"),
        (["data", "fetch", "imagenet"], "data set must be one of digits"),
        (["train", "--out", "{folder}", "--data", "imagenet"], "data set must be one of digits"),
        (["train", "--out", "{folder}", "--lr", "-1"], "lr must be a finite number >= 0"),
        (["train", "--out", "{folder}", "--config", "{folder}/none.toml"], "none.toml"),
        (["train", "--out", "{folder}", "--model", "lenet"], "model must be mlp"),
        (["evaluate", "{folder}"], "holds no checkpoint"),
        (["evaluate", "{folder}/x"], "there is no file"),
        (
            ["evaluate", "{folder}", "--bits", "4x"],
            "--bits: must be whole numbers such as 8,4,2; got '4x'",
        ),
        (["evaluate", "{folder}", "--activation-bits", ""], "must be whole numbers such as 8,4,2; got ''"),
        (
            ["evaluate", "{folder}", "--sparsity", "half"],
            "must be per cent in 0..100 such as 50,80,90; got 'half'",
        ),
        (
            ["evaluate", "{folder}", "--weights", "4"],
            "unrecognized arguments: --weights 4; see psgd-ref evaluate",
        ),
        (
            ["evaluate", "{folder}", "--split", "all"],
            "must be one of train, validation, test, none; got",
        ),
        (["compare", "--seeds", "0"], "argument --seeds: must be a whole number >= 1; got '0'"),
        (["evaluates"], "invalid choice: 'evaluates'"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_line(arguments, message, capsys, tmp_path):
    status, out, error = run(capsys, *(word.format(folder=tmp_path) for word in arguments))
    assert (status, out) == (2, "")
    assert message in error
    assert len(error.splitlines()) == 1


def test_train_then_evaluate(capsys, tmp_path):
    folder = tmp_path / "run"
    status, out, _ = run(capsys, "train", *QUICK, "--out", folder)
    assert (status, out) == (0, f"weights: {checkpoints(folder)[-1]}\n")
    assert (folder / "summary.png").stat().st_size > 1000
    status, out, _ = run(capsys, "evaluate", folder, "--bits", "8,2", "--activation-bits", "4")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["full", "A4", "W8", "W8A4", "W2", "W2A4"]
    _, out, _ = run(capsys, "evaluate", folder, "--bits", "8", "--split", "validation", "--json")
    assert set(json.loads(out)) == {"full", "W8"}
    _, out, _ = run(capsys, "evaluate", folder, "--bits", "4,2", "--grid", "mse", "--report")
    assert [line for line in out.splitlines() if line.endswith(", mse")] == ["W4, mse", "W2, mse"]
    rows = [line for line in out.splitlines() if line.startswith("| fc2.weight | 50×20 | ")]
    assert [row.split("|")[3].strip() for row in rows] == ["4", "2"]
    _, out, _ = run(capsys, "evaluate", folder, "--bits", "2", "--report", "--json")
    layer = next(layer for layer in json.loads(out)["layers"]["W2"] if layer["name"] == "fc2.weight")
    assert layer["strength"] == [8 / layer["step"][0]] * 2
    for option, value in (("--bits", "1"), ("--split", "all"), ("--grid", "none"), ("--bits", "x")):
        assert run(capsys, "evaluate", folder, option, value)[0] == 2


def test_a_report_is_of_the_models_that_are_evaluated_each_quantized_once(capsys, tmp_path, monkeypatch):
    folder, made = tmp_path / "run", []
    assert run(capsys, "train", *QUICK, "--epochs", "1", "--out", folder)[0] == 0

    def counted(model, bits, *rest):
        made.append(bits)
        return quantize(model, bits, *rest)

    monkeypatch.setattr("psgd_ref.training.evaluation.quantize", counted)
    monkeypatch.setattr("psgd_ref.compress.quantize", None)
    status, out, _ = run(capsys, "evaluate", folder, "--bits", "4,2", "--sparsity", "50", "--report")
    assert status == 0
    assert made == [4, 2, 4, 2]
    assert [line for line in out.splitlines() if line.endswith(("min-max", ", global"))] == [
        "S50, global",
        "W4, min-max",
        "W2, min-max",
    ]


def test_train_for_pruning_prune_and_go_on_at_the_mask(capsys, tmp_path):
    folder, tuned = tmp_path / "run", tmp_path / "tuned"
    assert run(capsys, "train", *QUICK, "--optimizer", "psgd", "--target", "zero", "--out", folder)[0] == 0
    recorded = (folder / "config.toml").read_text()
    assert 'target = "zero"' in recorded
    assert 'strength = "mean-one"' in recorded
    arguments = ("--sparsity", "50,97.5", "--scope", "layer", "--bits", "4")
    _, out, _ = run(capsys, "evaluate", folder, *arguments, "--activation-bits", "8", "--json")
    names = ["W4", "S50", "S50W4", "S97.5", "S97.5W4"]
    assert list(json.loads(out)) == ["full", "A8", *(name + a for name in names for a in ("", "A8"))]
    _, out, _ = run(capsys, "evaluate", folder, *arguments, "--report")
    assert "| fc2.weight | 1,000 | 500 | 500 | 50.00% |" in out.splitlines()
    for how in ("magnitude", "snip"):
        start = ["--start", str(checkpoints(folder)[-1])] if how == "magnitude" else []
        options = ["--sparsity", "90", "--prune", how, "--optimizer", "sgd", "--out", tuned / how]
        assert run(capsys, "train", *QUICK, *start, *options)[0] == 0
        _, out, _ = run(capsys, "evaluate", tuned / how, "--sparsity", "0", "--report", "--json")
        total = json.loads(out)["layers"]["S0"][-1]
        assert total["pruned"] == total["weights"] - round(total["weights"] / 10)
    for option, value in (("--sparsity", "101"), ("--sparsity", "x"), ("--scope", "row")):
        assert run(capsys, "evaluate", folder, "--sparsity", "1", option, value)[0] == 2
    for option, value in (("--sparsity", "101"), ("--prune", "row"), ("--target", "one")):
        assert run(capsys, "train", *QUICK, option, value, "--out", tmp_path / "x")[0] == 2


def test_a_toml_file_and_options_that_win_over_it(capsys, tmp_path):
    (tmp_path / "c.toml").write_text(
        'data = "moons"\nepochs = 1\nbatch_size = 600\nlr = 0.3\nmilestones = [1]\n'
    )
    status, out, _ = run(
        capsys, "train", "--config", tmp_path / "c.toml", "--lr", "0.2", "--out", tmp_path / "run", "--json"
    )
    assert status == 0
    assert json.loads(out)["epoch"] == 1
    recorded = (tmp_path / "run" / "config.toml").read_text()
    assert (
        recorded == Configuration(data="moons", epochs=1, batch_size=600, lr=0.2, milestones=(1,)).as_toml()
    )


def test_resuming_with_another_option_is_refused_by_its_name(capsys, tmp_path):
    run(capsys, "train", *QUICK, "--out", tmp_path / "run")
    status, _, error = run(capsys, "train", "--out", tmp_path / "run", "--resume", "--momentum", "0.5")
    assert status == 2
    assert "another configuration: momentum = 0.9 (given: 0.5)" in error
    assert run(capsys, "train", "--out", tmp_path / "run", "--resume")[0] == 0
    assert run(capsys, "train", *QUICK, "--out", tmp_path / "run")[0] == 2


def test_resuming_where_nothing_is_to_resume_is_refused_and_leaves_nothing(capsys, tmp_path):
    status, out, error = run(capsys, "train", *QUICK, "--out", tmp_path / "run", "--resume")
    assert (status, out) == (2, "")
    assert error.startswith(f"psgd-ref train: nothing to resume in {tmp_path / 'run'}")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["--model=lenet", "--data=signals.npz", "--start=none.safetensors"])
def test_a_refused_run_leaves_no_folder(word, capsys, tmp_path):
    assert run(capsys, "train", word, "--out", tmp_path / "run")[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_in_the_folder_is_refused_and_the_first_left_as_it_is(capsys, tmp_path):
    with alone(tmp_path / "run", ""):
        before = sorted(path.name for path in (tmp_path / "run").iterdir())
        status, _, error = run(capsys, "train", *QUICK, "--out", tmp_path / "run")
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == before
    assert before[0] == LOCK
    assert status == 2
    assert f"another run is under way in {tmp_path / 'run'}" in error
    assert run(capsys, "train", *QUICK, "--out", tmp_path / "run")[0] == 0


def test_divergence_ends_with_status_1(capsys, tmp_path):
    status, _, error = run(capsys, "train", *QUICK, "--strength", "1e9", "--out", tmp_path / "run")
    assert status == 1
    assert "lower strength" in error


@pytest.mark.parametrize("written", ["training.runs.run._append", "figures.style.save"])
def test_a_full_disk_ends_with_status_1_and_says_how_to_go_on(written, capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"psgd_ref.{written}", full)
    status, _, error = run(capsys, "train", *QUICK, "--out", tmp_path / "run")
    assert status == 1
    assert f"psgd-ref train --out {tmp_path / 'run'} --resume" in error


def test_a_damaged_checkpoint_is_passed_over_with_a_word_in_every_command(capsys, tmp_path):
    folder = tmp_path / "run"
    assert run(capsys, "train", *QUICK, "--out", folder)[0] == 0
    older, newest = checkpoints(folder)[-2:]
    newest.write_bytes(newest.read_bytes()[:-1])
    word = f"{older.name} is used"
    commands = (
        ["evaluate", folder, "--bits", "4"],
        ["export", folder, "--out", tmp_path / "net.h"],
        ["train", "--resume", "--out", folder],
    )
    # What `reproduce landscape --run` calls.
    open_saved(folder)
    assert word in capsys.readouterr().err
    for words in commands:
        status, _, error = run(capsys, *words)
        assert (status, words[0]) == (0, words[0])
        assert str(newest) in error
        assert word in error


def test_every_option_of_a_run_is_explained_with_its_default(capsys):
    status, out, _ = run(capsys, "train", "--help")
    assert status == 0
    for name in Configuration().as_dict():
        assert f"--{name.replace('_', '-')} " in out
    assert "(default: 0.1)" in out


def test_a_report_needs_no_images(capsys, tmp_path):
    save_safetensors(resnet(8, classes=100, seed=1), tmp_path / "x.safetensors")
    status, out, error = run(
        capsys, "evaluate", tmp_path / "x.safetensors", "--model", "resnet8", "--data", "cifar100",
        "--data-dir", tmp_path / "none", "--split", "none", "--bits", "4", "--report", "--json",
    )  # fmt: skip
    assert (status, error) == (0, "")
    layers = json.loads(out)["layers"]["W4"]
    assert layers[0]["name"] == "conv1.weight"
    assert all(0 < layer["distance"] < layer["step"][0] / 2 for layer in layers if layer["codes"][1] > 0)
    assert not (tmp_path / "none").exists()
