"""The ledger is complete and in order, and every law runs and can say how close it came."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from psgd_ref.core import (
    FiniteTargets,
    UniformGrid,
    barrier,
    bounds,
    clustering,
    curvature,
    discretization,
    reparametrisation,
    scale,
)
from psgd_ref.core.dynamics import averaging, escape, grid_decay, invariant, noise
from psgd_ref.laws import (
    LEDGER,
    Formulas,
    Subject,
    Trial,
    check,
    ledger_table,
    reference,
    register,
    replay,
)
from psgd_ref.laws.drawing.strategies import Placed, Push, Setting
from psgd_ref.laws.ledger import claim
from psgd_ref.laws.methods.subject import _registered
from tests.meta.right import PARTS

CHAPTERS = {"A": 5, "B": 4, "C": 6, "D": 10, "E": 9, "F": 4, "G": 3, "H": 2, "I": 2}
IDS = [f"{letter}{number}" for letter, count in CHAPTERS.items() for number in range(1, count + 1)]
ROOT = Path(__file__).parents[2]


def test_complete_and_in_order():
    assert list(LEDGER) == IDS


@pytest.mark.parametrize("id", IDS)
def test_entry(id):
    entry = LEDGER[id]
    assert entry.id == id
    assert entry.title
    assert entry.statement
    assert entry.source
    assert entry.truth == ("refuted" if id == "C1" else "holds")
    assert re.fullmatch(rf"theory/0[1-9]_[a-z_]+\.ipynb#{id}", entry.notebook)
    parts = {*Subject.__dataclass_fields__, *(f"formulas.{name}" for name in Formulas.__dataclass_fields__)}
    assert set(entry.tests) <= parts
    assert entry.tests
    names = [each.name for each in entry.properties]
    assert names
    assert len(set(names)) == len(names)
    assert all(each.body.__doc__ for each in entry.properties)


def test_every_part_of_a_subject_is_tested():
    tested = {part for entry in LEDGER.values() for part in entry.tests}
    names = {f"formulas.{name}" for name in Formulas.__dataclass_fields__}
    assert {*Subject.__dataclass_fields__} - {
        "name",
        "formulas",
        "given",
        "calls",
        "address",
        "quantization",
    } <= tested
    # Parts that a law uses to set up a step, and so would fail with, without naming them as its subject.
    assert names - tested == {"formulas.second_order_coefficient", "formulas.box_bound"}


def test_formulas_are_the_ones_in_core():
    modules = (
        averaging,
        barrier,
        bounds,
        clustering,
        curvature,
        discretization,
        escape,
        grid_decay,
        invariant,
        noise,
        reparametrisation,
        scale,
    )
    for name in Formulas.__dataclass_fields__:
        assert any(getattr(module, name, None) is getattr(Formulas(), name) for module in modules)


@pytest.mark.parametrize("id", [id for id in IDS if id not in ("G3", "H2")])
def test_law_holds(id):
    outcome = check(claims=[id], examples=20).outcomes[0]
    assert outcome.status == ("refuted as stated" if id == "C1" else "holds"), outcome.counterexample
    assert outcome.cases > 0
    # D8 asks whether a weight is in its box: what it sees may be nothing but shares of 0.
    assert outcome.worst <= 1
    assert outcome.worst > 0 or id == "D8"


def test_the_counterexample_of_c1_is_shrunk():
    shown = check(claims=["C1"], examples=60).outcomes[0].counterexample
    assert "det DF(w) = 1" in shown
    assert "array([0.])" in shown  # one weight, on the target at zero


def test_same_seed_same_cases():
    runs = [check(claims=["B2"], examples=30, seed=seed).outcomes[0] for seed in (5, 5, 6)]
    assert (runs[0].cases, runs[0].worst) == (runs[1].cases, runs[1].worst)
    assert runs[2].status == "holds"


def test_the_users_hypothesis_profile_is_left_alone():
    before = settings.default
    check(claims=["A3"], examples=3)
    assert settings.default is before


def test_registered_parts_take_the_place_of_the_librarys_own(monkeypatch):
    monkeypatch.setattr("psgd_ref.laws.methods.subject._registered", dict(_registered))
    assert check(Subject(), claims=["H2"], examples=2).outcomes[0].status == "not here yet"
    assert reference().laplace_clip is not PARTS["laplace_clip"]
    register(**PARTS)
    assert reference().laplace_clip is PARTS["laplace_clip"]
    assert check(claims=["H2"], examples=2).outcomes[0].status == "holds"


def test_refusals():
    with pytest.raises(ValueError, match="no part nearst; its parts are name, warp"):
        register(nearst=None)
    with pytest.raises(ValueError, match=r"no claim Z1; the ledger has A1, A2"):
        check(claims=["A1", "Z1"])
    with pytest.raises(ValueError, match="examples must be a whole number >= 1; got 0"):
        check(claims=["A1"], examples=0)
    with pytest.raises(ValueError, match="A1 is in the ledger already"):
        claim("A1", "again", "again", tests=("warp",))


def test_margins():
    trial = Trial()
    trial.within([0.0, -0.5], [0.0, 2.0], "small enough")
    assert trial.worst == 0.25
    trial.at_most(3.0, 4.0, 0.0, "below")
    assert trial.worst == 0.75
    for error, allowed in ((1.0, 0.5), (np.nan, 1.0), (1e-300, 0.0)):
        with pytest.raises(AssertionError, match="too large: off by"):
            trial.within(error, allowed, "too large")
    with pytest.raises(AssertionError, match="above"):
        trial.at_most(1.0, -1.0, 0.5, "above")
    assert trial.worst == 0.75


def test_table_of_the_readme():
    text = (ROOT / "theory" / "README.md").read_text()
    assert ledger_table() in text, "theory/README.md is stale: paste the output of ledger_table() into it"


def test_anchors_exist_in_the_notebooks():
    for entry in LEDGER.values():
        path = ROOT / entry.notebook.split("#")[0]
        if path.exists():
            assert re.search(rf"\b{entry.id}\b", path.read_text()), f"{path.name} does not mention {entry.id}"


def test_inputs_on_which_laws_went_wrong():
    # A bound without digits; a quarter of the mean gap that is a target itself; a weight beyond the points
    # that stand for a lattice; a mirror step to a neighbour that by rounding is not the target plus the gap.
    ends, g = FiniteTargets(np.array([0.0, 3.1622776601683795])), np.full(6, 3.4224461340766676e-159)
    w = np.array([0.0, 7.106668197890885, -5.354703090177542, 0.0, 1.5811388300841898, 2.9998929540131902])
    tiny = Push(Setting(ends, 0.0, 0.31622776601683794, False), w, g, 1.0)
    replay(reference(), "B2.remainder", push=tiny)
    uneven = Setting(FiniteTargets(np.array([0.0, 1.0, 2.0, 12.0])), 0.0, 0.25, False)
    replay(reference(), "C5.determinant", at=Placed(uneven, np.zeros(3)), stretch=1.0)
    far = Placed(Setting(UniformGrid(1.0), 0.0, 1.0, False), np.array([9.0]))
    replay(reference(), "A2.elementwise", drawn=far)
    fine = Setting(UniformGrid(0.1, 127), 0.0, 10.0, True)
    boxed = Placed(
        fine, np.array([0.0, 12.708935333744067, -12.714092417685873, -0.7, 4.85, 2.4969459961032805])
    )
    replay(reference(), "D6.box_solution", at=boxed, seed=0, kind="mirror")
    # A gap a thousand times as wide as the next: an integral that needs many nodes.
    wide = Setting(FiniteTargets(np.array([0.0, 31.622776601683793, 31.654399378285476])), 0.0, 0.063, True)
    replay(reference(), "D6.divergence", at=Placed(wide, np.zeros(1)), share=1.0)
