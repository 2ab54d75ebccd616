"""`check` on other people's methods: what applies, what ran, what is found, and how it is told."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis.database import InMemoryExampleDatabase

from psgd_ref.compress.pruning.prune import prune_array
from psgd_ref.core import UniformGrid, Warp, mirror_step, position_scale, psgd_step, warped_step
from psgd_ref.laws import LEDGER, LawBrokenError, as_subject, check, replay
from tests.laws import methods
from tests.meta import right

ROOT = Path(__file__).parents[2]
CLAIMS = ["B2", "D5", "E4"]


def failed(subject, claim, examples=40):
    (outcome,) = check(subject, [claim], examples).outcomes
    assert outcome.status == "FAILED"
    return outcome


@pytest.mark.parametrize(
    ("thing", "parts"),
    [
        (methods.rule, {"scale", "psgd_step"}),
        (methods.step, {"psgd_step"}),
        (methods.step_with_decay, {"psgd_step", "decayed_step", "grid_decayed_step"}),
        (functools.partial(methods.step, lr=0.5), {"psgd_step"}),
        (warped_step, {"warped_step"}),
        (mirror_step, {"mirror_step"}),
        (methods.OwnWarp, {"warp", "warped_step"}),
        (functools.partial(methods.OwnWarp, eps=0.0), {"warp", "warped_step"}),
        (methods.Codes, {"quantizer", "nearest"}),
        (methods.make_table, {"quantizer", "nearest"}),
        (prune_array, {"prune"}),
        (methods.several, {"scale", "psgd_step", "nearest"}),
    ],
)
def test_parts_are_found_by_structure(thing, parts):
    assert as_subject(thing).given == parts


def test_claims_that_apply_are_those_about_a_part():
    subject = as_subject(methods.step)
    apply = {id for id, entry in LEDGER.items() if subject.given.intersection(entry.tests)}
    steps = {"A5", "B1", "B2", "B3", "B4", "C6", *(f"D{k}" for k in range(1, 11))}
    assert apply == steps | {*(f"E{k}" for k in range(1, 10)), "F2", "F4", "G1", "I1", "I2"}


@pytest.mark.parametrize(
    ("thing", "claims"),
    [
        (methods.rule, ["A2", "A3", "B2", "B4", "D5"]),
        (methods.bare, ["A2", "A3", "C3", "D5", "G1"]),
        (methods.magnitude, ["A2", "G1"]),
        (methods.step, ["B2", "D1", "D5", "E4"]),
        (methods.step_with_decay, ["D10", "E4", "E5", "E6"]),
        (methods.OwnWarp, ["A1"]),
        (Warp, ["A1", "A2", "A5", "C2", "B2", "F1"]),
        (methods.Codes, ["H1", "F3"]),
        (methods.Table, ["H1"]),
        (methods.several, ["A2", "H1"]),
        (position_scale, ["A2", "A4", "A5", "C3", "C5"]),
        (psgd_step, ["B2", "D5"]),
        (warped_step, ["B2", "G1"]),
        (mirror_step, ["B3", "E2"]),
        (prune_array, ["G3"]),
    ],
)
def test_right_methods_pass(thing, claims):
    report = check(thing, claims, examples=15)
    assert report.ok, str(report)
    assert report.checked == len(claims), str(report)
    assert all(outcome.cases > 0 for outcome in report.outcomes)


@pytest.mark.parametrize(
    ("thing", "claim", "words"),
    [
        (methods.eps_forgotten, "A2", "your scale gives 0, λ(d + ε) is"),
        (methods.eps_forgotten, "B2", "your step gives"),
        (methods.constant, "D5", "d = 0 from the target 0 of"),
        (methods.decay_target_forgotten, "E5", "your step with decay to the grid gives"),
        (methods.ForgetsEps, "A1", ""),
        (methods.HalfUp, "H1", "your quantizer gives"),
        (methods.Asymmetric, "H1", "your quantizer gives"),
        (methods.keep_half, "G3", ""),
    ],
)
def test_wrong_methods_fail_with_words_and_a_line_that_raises(thing, claim, words):
    outcome = failed(thing, claim)
    assert words in outcome.words
    assert f'replay("tests.laws.methods:{thing.__name__}", "{claim}.' in outcome.code
    with pytest.raises(LawBrokenError, match=r".") as raised:
        exec(outcome.code, {})
    assert str(raised.value) == outcome.counterexample.splitlines()[0]


@pytest.mark.parametrize("thing", [methods.Codes, methods.HalfUp])
def test_h1_reports_each_property(thing):
    (outcome,) = check(thing, ["H1"], examples=40).outcomes
    broken = {"odd", "ties"} if thing is methods.HalfUp else set()
    assert {name for name, status in outcome.properties if status == "FAILED"} == broken
    assert {"idempotent", "monotone", "half_step", "targets_exact", "codes"} <= dict(
        outcome.properties
    ).keys()
    assert outcome.status == ("FAILED" if broken else "holds")
    assert outcome.as_json()["properties"] == dict(outcome.properties)
    assert "monotone holds" in str(outcome)


def test_arrays_changed_in_place_are_a_failure():
    outcome = failed(methods.in_place, "B2", examples=3)
    assert outcome.counterexample.startswith("in_place changes w in place: it must return a new array")


@pytest.mark.parametrize("state", ["raise", "warn", "ignore"])
@pytest.mark.parametrize("thing", [methods.rule, methods.step, methods.eps_forgotten, None])
def test_the_callers_floating_point_errors_change_no_verdict(thing, state):
    def verdicts():
        return [(o.claim.id, o.status, o.cases, o.worst) for o in check(thing, CLAIMS, examples=6).outcomes]

    expected = verdicts()
    with np.errstate(all=state):
        assert verdicts() == expected


@pytest.mark.parametrize(
    ("thing", "claims"),
    [
        *((step, ["B2", "B4", "D5", "D6", "G1"]) for step in right.STEPS),
        *((rule, ["A2", "A3", "A5", "D5"]) for rule in right.RULES),
    ],
)
def test_methods_that_round_otherwise_pass(thing, claims):
    """In extended precision, plain Python, or with fused products: nothing fails by a target's rounding."""
    for seed in range(2):
        report = check(thing, claims, examples=25, seed=seed)
        assert report.ok, str(report)


def test_the_line_of_code_runs_in_another_process():
    outcome = failed(methods.constant, "B2")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", outcome.code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert f"LawBrokenError: {outcome.counterexample.splitlines()[0]}" in done.stderr


def test_a_subject_without_an_address_is_named_in_the_line():
    def mine(w, targets):
        return 2 * methods.bare(w, targets)

    outcome = failed(mine, "A2")
    assert "replay(subject, " in outcome.code
    with pytest.raises(LawBrokenError):
        exec(outcome.code, {"subject": mine})
    exec(outcome.code, {"subject": methods.bare})  # the right method passes on the same input


def test_the_line_has_every_digit():
    def off_at_small_weights(w, targets):
        s = methods.bare(w, targets)
        return np.where((s > 0.1234567890123) & (s < 0.2), 2 * s, s)

    outcome = failed(off_at_small_weights, "A2", examples=300)
    with pytest.raises(LawBrokenError):
        exec(outcome.code, {"subject": off_at_small_weights})


def test_what_did_not_run_is_said():
    report = check(methods.bare, ["A4", "D5"], examples=5)
    first, second = report.outcomes
    assert (first.status, first.cases) == ("did not run", 0)
    assert "'max-normalised' is not taken" in str(first)
    assert second.status == "holds"
    assert (
        "(2 of 4 properties ran; critical_points, no_bias_under_noise did not: ε > 0: it takes no eps)"
        in str(second)
    )
    assert "1 of 2 claims checked" in report.summary


def test_properties_that_never_call_the_subject_do_not_count():
    (outcome,) = check(methods.step, ["E3"], examples=5).outcomes
    assert (outcome.ran, outcome.cases) == (1, 1)


def test_zero_is_an_error():
    with pytest.raises(
        ValueError, match=r"0 of 1 claims could be checked: bare declined every input \(the st"
    ):
        check(methods.bare, ["A4"], examples=3)
    with pytest.raises(ValueError, match="never today"):
        check(methods.declines, ["A2", "D5"], examples=3)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (3, "int must be callable or have one of scale, step"),
        (lambda w: w, "is no method that is known"),
        (lambda w, g, lr, bits: w, "asks for bits, which is not known; a method may ask for targets, eps"),
        (lambda w, targets: w[:1], r"returned shape \(1,\) for weights of shape \(2,\)"),
        (methods.single, "returned float32 for float64 weights"),
        (lambda w, targets: 1 / 0, "cannot be checked: ZeroDivisionError"),
        (Warp(UniformGrid(1.0)), "Warp is made already; give what makes it"),
        (methods.Codes(UniformGrid(1.0)), "Codes is made already"),
        (dict, "dict is a class; give a function step"),
    ],
)
def test_bad_subjects(thing, message):
    with pytest.raises(ValueError, match=message):
        as_subject(thing)


def test_a_claim_that_is_not_about_the_subject_is_refused():
    with pytest.raises(ValueError, match="claim C1 is not about step, which is tested as psgd_step"):
        check(methods.step, ["C1", "D1"])


def test_replay_refuses_what_does_not_exist():
    with pytest.raises(ValueError, match="no claim Z1"):
        replay(methods.bare, "Z1.x")
    with pytest.raises(ValueError, match="has no property 'x'"):
        replay(methods.bare, "A2.x")
    with pytest.raises(ValueError, match="elementwise takes drawn"):
        replay(methods.bare, "A2.elementwise", w=1)


def test_table_html_and_json():
    report = check(methods.constant, ["A3", "D5"], examples=10)
    assert "      at w = " in str(report)
    html = report._repr_html_()
    assert html.count("<tr>") == 1 + 2 + 2  # head, claims, counter-examples
    assert "<b>FAILED</b>" in html
    assert "λ(d + ε) is" in html
    assert "replay(&quot;tests.laws.methods:constant&quot;" in html
    assert "s = λε at a target" in html
    assert json.loads(json.dumps(report.as_json()))["outcomes"][0]["code"] == report.outcomes[0].code


@pytest.mark.parametrize(
    "own", [{"derandomize": True}, {"database": InMemoryExampleDatabase(), "derandomize": False}]
)
def test_the_users_hypothesis_is_left_alone(own):
    before, name = hypothesis.settings.default, hypothesis.settings.get_current_profile_name()
    hypothesis.settings.register_profile("own", max_examples=7, **own)
    hypothesis.settings.load_profile("own")
    try:
        loaded = hypothesis.settings.default
        failed(methods.constant, "A3")
        assert hypothesis.settings.default is loaded
        assert loaded.max_examples == 7
        assert loaded.derandomize is own["derandomize"]
        if "database" in own:
            assert loaded.database is own["database"]
            assert not own["database"].data
    finally:
        hypothesis.settings.load_profile(name)
    assert hypothesis.settings.default == before
