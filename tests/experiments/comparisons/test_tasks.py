"""Comparisons: every task has the same face, and bad input is answered in one line."""

import json

import pytest

from psgd_ref.cli import main
from psgd_ref.experiments.comparisons.tasks import TASKS, as_json
from psgd_ref.experiments.course import stored


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--bits", "W1"], "bits of weights and activations must be in 2..8; got 'W1'"),
        (["compare", "--bits", "three"], "bits must look like W3A8, W3 or 3; got 'three'"),
        (["compare", "--task", "magic"], "task must be one of quantization"),
        (["compare", "--methods", "magic"], "no method magic; the methods are SGD"),
    ],
)
def test_bad_input_ends_with_status_2(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_the_list_names_every_method_and_its_needs(capsys):
    assert main(["compare", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + sum(len(task.methods) for task in TASKS.values())
    assert any(line.startswith("| quantization | LAPQ | post-training | labelled data |") for line in lines)


every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@every_task
def test_names_of_methods_are_different(task):
    assert len({method.name for method in task.methods}) == len(task.methods)


@every_task
def test_the_stored_table_is_that_of_the_stored_rows(task):
    """And the rows come through reading and writing as they are, byte for byte."""
    text = stored(f"compare/{task.name}/rows.json")
    rows = [task.read(record) for record in json.loads(text)]
    assert json.dumps(as_json(rows), indent=1, ensure_ascii=False) + "\n" == text
    assert task.table(rows) + "\n" == stored(f"compare/{task.name}/table.md")
