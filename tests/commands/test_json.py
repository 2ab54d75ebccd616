"""Every flag of every command: beside `--json` JSON alone or a refusal; for bad values one line."""

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from psgd_ref.cli import _parser, main
from tests.command import run
from tests.experiments.sweeps.sweeps import FAILING, planned

# What each command is called with, besides the flags; {folder} is a folder of the test's own.
COMMANDS = {
    "demo": "--out {folder}/demo",
    "compare": "--out {folder}/compare",
    "check": "tests.laws.methods:bare --claims A3 --examples 2",
    "bench": "",
    "data list": "--data-dir {folder}",
    "data fetch": "moons --data-dir {folder}",
    "data check": "moons --data-dir {folder}",
    "train": "--data moons --epochs 1 --batch-size 600 --out {folder}/new",
    "evaluate": "{folder}/run --bits 4",
    "export": "{folder}/run --out {folder}/net.h",
    "runtimes": "{folder}/net.onnx",
    "peers": "--out {folder}/peers",
    "sweep": "{folder}/sweep.toml --out {folder}/sweep",
    "reproduce": "fig1 --out {folder}/figures --cache {folder}/cache",
    "verify": "--claim A3 --examples 2",
}
# A value for every flag that takes one, where that of another command does not serve.
VALUES = {
    "--activation-bits": "4",
    "--activations": "4",
    "--augment": "none",
    "--batch-size": "600",
    "--bits": "4",
    "--cache": "{folder}/cache",
    "--cap": "true",
    "--claim": "A3",
    "--claims": "A3",
    "--config": "{folder}/run/config.toml",
    "--container": "int4",
    "--data": "moons",
    "--data-dir": "{folder}",
    "--epochs": "1",
    "--growth": "{folder}/growth",
    "--image": "{folder}",
    "--methods": "none",
    "--milestones": "1",
    "--model": "mlp",
    "--only": "relu",
    "--out": "{folder}/other",
    "--per-channel": "",
    "--prune": "snip",
    "--ranges": "mse",
    "--run": "{folder}/run",
    "--scheduler": "local",
    "--scope": "layer",
    "--split": "none",
    "--start": "",
    "--sparsity": "50",
    "--task": "pruning",
    "--target": "zero",
    "--where": "{folder}/where",
}
CHANGED = {
    ("compare", "--bits"): "W3A8",
    ("export", "--out"): "{folder}/net.onnx",
    ("bench", "--threads"): "1",
}


def parsers(parser=None, words=()):
    """Every command that has --json, by its words."""
    parser = parser or _parser(["train"])
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from parsers(inner, (*words, name))
    if "--json" in parser._option_string_actions:
        yield " ".join(words), parser


def flags():
    """(command, flag, its words), also none, for all but --help and --json."""
    for command, parser in parsers():
        yield command, "", []
        for action in parser._actions:
            if not action.option_strings or {"--help", "--json"} & set(action.option_strings):
                continue
            flag = action.option_strings[-1]
            if action.nargs == 0:
                yield command, flag, [flag]
                continue
            value = CHANGED.get((command, flag)) or VALUES.get(flag)
            if value is None:
                # Of the other options the default is a value that is accepted.
                value = "1" if action.default in (None, argparse.SUPPRESS) else str(action.default)
            yield command, flag, [flag, value]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from psgd_ref.training.runs.configuration import Configuration
    from psgd_ref.training.runs.run import train

    folder = tmp_path_factory.mktemp("json")
    train(Configuration(data="moons", epochs=1, batch_size=600), folder / "run", show_progress=False)
    planned(folder, FAILING)
    assert main(["export", str(folder / "run"), "--out", str(folder / "net.onnx")]) == 0
    return folder


@pytest.fixture
def quick(monkeypatch):
    """In place of minutes of work, what it leaves."""
    from psgd_ref.experiments.benchmark import breakdown, compiling, growth, speed
    from psgd_ref.experiments.comparisons import tasks
    from psgd_ref.experiments.digits import rounding, search, study
    from psgd_ref.experiments.peers import run as peers
    from psgd_ref.experiments.reproduction import gallery
    from psgd_ref.experiments.sweeps import driver
    from psgd_ref.interop.runtimes import compare as runtimes
    from psgd_ref.training.runs import run as training

    def result(*args, **kwargs):
        return SimpleNamespace(
            as_json=lambda: {"é": 1},
            table=lambda: "no JSON",
            save=lambda folder: folder,
            rows=[],
            text="no JSON",
        )

    for module in (study, speed, growth):
        monkeypatch.setattr(module, "run", result)
    monkeypatch.setattr(rounding, "run", lambda *args: {"é": 1})
    monkeypatch.setattr(search, "search", result)
    monkeypatch.setattr(breakdown, "measure", result)
    monkeypatch.setattr(compiling, "measure", lambda: {"kernels": {"relu": 1.0}, "cold": 2.0, "warm": 1.0})
    monkeypatch.setattr(study, "table", lambda rows: "no JSON")
    monkeypatch.setattr(runtimes, "compare", lambda *args: [])
    for name, value in (("run", None), ("read", [{"family": "é"}]), ("save", {"table": "x.md"})):
        monkeypatch.setattr(peers, name, lambda *args, value=value: value)
    for module in (study, rounding, growth, breakdown, tasks):
        monkeypatch.setattr(module, "save", lambda *args: {"picture": "x.png"})
    for name, task in tasks.TASKS.items():
        empty = replace(
            task, run=lambda *args: [], table=lambda rows: "no JSON", search=task.search and result
        )
        monkeypatch.setitem(tasks.TASKS, name, empty)
    for name in ("reproduce", "reproduce_run"):
        monkeypatch.setattr(gallery, name, lambda *args: {"fig": "x.png"})
    monkeypatch.setattr(driver, "run", lambda runs, folder, *args: driver.status(runs, folder))
    monkeypatch.setattr(training, "train", lambda *args, **kwargs: training.Run([], "weights", 0, False))


def valued():
    """(command, flag) of all flags that take a value other than a path."""
    for command, parser in parsers():
        for action in parser._actions:
            if action.option_strings and action.nargs != 0 and action.type is not Path:
                yield command, action.option_strings[-1]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("command", "flag"), list(valued()))
def test_bad_values_are_refused_in_one_line(command, flag, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    refused = 0
    for value in ("x\ny", "-1", "nan", "", "1e999", "1" * 5000):
        given = [*command.split(), *COMMANDS[command].split(), f"{flag}={value}"]
        status, out, error = run(capsys, *(word.format(folder=folder) for word in given))
        assert status in (0, 1, 2)
        if status == 2:
            refused += 1
            assert out == ""
            assert len(error.splitlines()) == 1, error
            assert error.startswith(f"psgd-ref {command.split()[0]}")
            # No usage, no names of private functions, no words of Python's.
            assert not re.search(
                r"usage:|\b_\w+|invalid (int|float|literal)|could not convert|NoneType", error
            ), error
    # Of these any word may be right, or what looks at them is not called here.
    free = {"--methods", "--only", "--start", "--scheduler", "--refresh", "--model"} | {"compare --bits"}
    assert refused > 0 or {flag, f"{command} {flag}"} & free


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("command", "flag", "words"), list(flags()))
def test_json_beside_every_flag_is_honoured_or_refused(command, flag, words, folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    given = [*command.split(), *COMMANDS[command].split(), *words, "--json"]
    status, out, error = run(capsys, *(word.format(folder=folder) for word in given))
    if status == 2:
        assert out == ""
        assert len(error.splitlines()) == 1
        assert flag != ""
    else:
        json.loads(out)
