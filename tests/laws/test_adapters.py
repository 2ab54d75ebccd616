"""The examples of theory/harness.md, and what they find in PyTorch and Optax (the extra `compare`)."""

import re
import sys
import types
from pathlib import Path

import pytest

from psgd_ref.laws import LawBrokenError, check

PAGE = (Path(__file__).parents[2] / "theory/harness.md").read_text(encoding="utf-8")


def fences(kind):
    """The code of the page's examples of one kind, in order."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def adapter(code, monkeypatch, **project):
    """The step of an example, with the reader's own project put in the place of `my_project`."""
    module = types.ModuleType("my_project")
    vars(module).update(project)
    monkeypatch.setitem(sys.modules, "my_project", module)
    names = {"__name__": "example"}
    exec(compile(code, "harness.md", "exec"), names)
    return names["step"]


def test_examples_are_short():
    codes = [*fences("python torch"), *fences("python optax")]
    assert len(codes) == 3
    assert all(len([line for line in code.splitlines() if line.strip()]) <= 20 for code in codes)


def test_the_numpy_examples_run(capsys):
    rule, call, parametrize = fences("python")
    names = {"__name__": "example"}
    exec(compile(rule + call, "harness.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "A2  s f′² = 1" in printed
    assert "your scale gives" in printed
    exec(compile(parametrize, "harness.md", "exec"), names)
    (mark,) = names["test_laws"].pytestmark
    assert [case.id for case in mark.args[1]] == ["my_rule-A2", "my_rule-A3"]
    for case in mark.args[1]:
        with pytest.raises(LawBrokenError):
            case.values[0]()


@pytest.fixture
def torch_adapter(monkeypatch):
    pytest.importorskip("torch")
    from tests.laws import torch_psgd

    return lambda name: adapter(fences("python torch")[0], monkeypatch, PSGD=getattr(torch_psgd, name))


def test_psgd_in_pytorch_passes(torch_adapter):
    claims = ["B2", "D1", "D5", "D6", "E4", "F2", "G1"]
    report = check(torch_adapter("PSGD"), claims, examples=10)
    assert report.ok, str(report)
    assert report.checked == len(claims)


@pytest.mark.parametrize(
    ("name", "claim", "words"),
    [
        ("EpsForgotten", "D5", "with ε = 1, λ = 1, g = -1, η = 1: your step gives 0, w − ηλ(d + ε)g is 1"),
        ("Squared", "B2", "your step gives"),
        ("FloorForRound", "B2", "your step gives"),
        ("ConstantScale", "D5", "at w = 0, d = 0 from the target 0 of"),
        ("DecayScaled", "E4", "your step with decay gives"),
    ],
)
def test_a_mistake_in_pytorch_is_found_and_told(name, claim, words, torch_adapter):
    step = torch_adapter(name)
    (outcome,) = check(step, [claim], examples=30).outcomes
    assert outcome.status == "FAILED"
    assert words in outcome.words
    with pytest.raises(LawBrokenError):
        exec(outcome.code, {"subject": step})


def test_state_in_pytorch():
    pytest.importorskip("torch")
    exec(compile(fences("python torch")[1], "harness.md", "exec"), {"__name__": "example"})


@pytest.fixture
def optax_adapter(monkeypatch):
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    before = jax.config.jax_enable_x64

    def make(power):
        def scale_by_position(delta, levels, eps, strength):
            def update(g, state, w):
                k = jax.numpy.round(w / delta)
                k = k if levels is None else k.clip(-levels, levels)
                return strength * (abs(w - k * delta) ** power + eps) * g, state

            return optax.GradientTransformation(lambda w: optax.EmptyState(), update)

        return adapter(fences("python optax")[0], monkeypatch, scale_by_position=scale_by_position)

    yield make
    jax.config.update("jax_enable_x64", before)


def test_psgd_in_optax_passes_and_the_square_is_found(optax_adapter):
    report = check(optax_adapter(1), ["B2", "D5"], examples=10)
    assert report.ok, str(report)
    (outcome,) = check(optax_adapter(2), ["B2"], examples=20).outcomes
    assert outcome.status == "FAILED"
    assert "your step gives" in outcome.words


def test_every_form_of_a_quantizer_is_taken(capsys):
    values, codes, described = fences("python quantizer")
    names = {"__name__": "example"}
    exec(compile(values + codes + described, "harness.md", "exec"), names)
    assert "symmetric grid" in capsys.readouterr().out
    for name in ("fake_quant", "nearest", "with_scale", "per_channel", "int8", "nibbles", "bit_planes"):
        report = check(names[name], ["H1"], examples=20)
        assert report.ok, str(report)
    outcome = check(names["asymmetric"], ["H1"], examples=20).outcomes[0]
    assert dict(outcome.properties)["nearest"] == "FAILED"
