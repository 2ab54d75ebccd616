"""Comparisons: every task has the same face, and bad input is answered in one line."""

import inspect

import pytest

from psgd_ref.cli import main
from psgd_ref.experiments.comparisons import tasks as compare


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
    assert len(lines) == 2 + sum(len(task.METHODS) for task in compare.TASKS.values())
    assert any(line.startswith("| quantization | LAPQ | post-training | labelled data |") for line in lines)


@pytest.mark.parametrize("task", compare.TASKS.values(), ids=compare.TASKS.keys())
def test_every_task_has_the_same_face(task):
    for name in ("run", "table", "draw"):
        expected = list(inspect.signature(getattr(compare.Task, name)).parameters)
        assert len(inspect.signature(getattr(task, name)).parameters) == len(expected) - 1
    assert len({method.name for method in task.METHODS}) == len(task.METHODS)
