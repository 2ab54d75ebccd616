"""The peers' machinery, tried on a family without packages in this environment."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from psgd_ref.cli import main
from psgd_ref.experiments.peers import environment, functions, meetings, peer, run
from psgd_ref.experiments.peers.families import shared
from psgd_ref.experiments.peers.given import Given
from psgd_ref.experiments.peers.registry import FAMILIES, Family
from psgd_ref.experiments.peers.table import page
from psgd_ref.figures.peers import draw
from tests.experiments.peers import stub
from tests.experiments.peers.family import STUB

STORED = Path(__file__).parents[3] / "notebooks/peers"


def test_a_quantizer_in_another_process_is_described_as_here():
    from psgd_ref.laws.description.describe import describe

    found = {(each["name"], each["bits"]): each for each in functions.records(STUB, Path(sys.executable))}
    here = describe(stub.nearest, 4, "float32").as_json()
    assert found["nearest", 4]["description"] == here
    w, q = (np.array(found["nearest", 4][name]) for name in "wq")
    codes, scale = stub.nearest(w.astype(np.float32), 4)
    np.testing.assert_allclose(q, codes * scale, atol=1e-6)
    assert "bits must be 3; got 4" in found["refuses", 4]["error"]
    assert "nobody reads" not in found["refuses", 4]["error"]
    for bits in (2, 4):
        assert "ended with status 7" in found["crashes", bits]["error"]


def test_what_a_library_prints_is_no_answer():
    with peer.Peer(Path(sys.executable), STUB.module, 30.0) as talking:
        for value in (1.0, 2.0):
            np.testing.assert_array_equal(talking("talks", {"w": np.array([value])}, bits=4)["value"], value)


def test_a_peer_that_hangs_is_ended():
    with peer.Peer(Path(sys.executable), STUB.module, 2.0) as hanging:
        with pytest.raises(peer.PeerError, match="no answer within 2 s"):
            hanging("hangs", {"w": np.zeros(3)}, bits=4)
        assert hanging.ended


def test_the_worker_needs_nothing_of_the_package_but_its_folder():
    with (
        peer.Peer(Path(sys.executable), "psgd_ref.experiments.peers.environment", 30.0) as other,
        pytest.raises(peer.PeerError, match=r"No module named 'psgd_ref\.interop'"),
    ):
        other("environment", {})


def given(folder):
    codes = np.array([[3, -3, 0, 1]], np.int8)
    arrays = {"fc.codes": codes, "fc.scale": np.float32(0.5), "fc.weight": codes * np.float32(0.5)}
    arrays |= {
        "fc.bias": np.zeros(1),
        "images": np.zeros((3, 4)),
        "logits": np.array([[1.0, 2], [2, 1], [3, 1]]),
    }
    made = Given(folder, 3, [{"kind": "Gemm", "name": "fc"}], arrays)
    made.write()
    return made


def test_what_became_of_a_network(tmp_path):
    folder = tmp_path / "net/W3"
    given(folder)
    found = list(meetings.records(STUB, Path(sys.executable), [folder, folder]))
    assert [each["meeting"] for each in found] == ["halves", "halves", "stops", "stops"]
    # 3/2, −3/2 and 1/2 go to 2, −2 and 0.
    expected = {"weights": 4, "kept": 1, "error_in_steps": 1.5, "zeros": 1, "zeros_kept": 1, "layers": ["fc"]}
    expected |= {"images": 3, "differ": 1, "bytes": 10, "float_bytes": 40}
    assert {name: found[0][name] for name in expected} == expected
    assert found[0]["logits_error"] == pytest.approx(4 / 3, rel=1e-2)
    assert all(each["error"].startswith("ended with status 3") for each in found[2:])


def test_a_weight_between_two_integers_is_lost_on_either_side_of_the_middle(tmp_path):
    values = np.array([[2.5 - 1e-6, -3.5 - 1e-6, 0, 1.49]]) * 0.5
    found = meetings.compared(given(tmp_path), {"weight/fc": values})
    assert (found["kept"], found["error_in_steps"]) == (2, 0.5)


def test_what_nothing_runs_has_logits_where_all_layers_are_linear(tmp_path):
    linear = given(tmp_path)
    weights = {"weight/fc": linear.weight("fc")}
    assert set(shared.read_back(linear, weights, 9)) == {"logits", "bytes", "float_bytes", "weight/fc"}
    convolution = replace(linear, operations=[{"kind": "Conv", "name": "fc"}])
    assert set(shared.read_back(convolution, weights, 9)) == {"bytes", "float_bytes", "weight/fc"}


def test_both_sides_of_a_time_run_by_turns():
    ran = []
    found = shared.in_turns(lambda x: ran.append("small"), lambda x: ran.append("floats"), None)
    assert ran == ["small", "floats"] * (shared.RUNS + 1)
    assert found["seconds"] >= 0 <= found["float_seconds"]


def test_a_cell_has_times_of_four_bits_and_as_much_of_an_error_as_fits():
    kinds = {"family": "stub", "date": "today", "functions": [], "optimizers": []}
    time = {"meeting": "timed", "bits": 4, "seconds": 0.3, "float_seconds": 0.2}
    kinds["meetings"] = [
        {**time, "network": "convnet"},
        {**time, "network": "perceptron", "seconds": 0.1},
        {**time, "network": "convnet", "bits": 8, "seconds": 9.0},
        {"meeting": "refused", "network": "convnet", "bits": 4, "error": "no " * 100},
    ]
    lines = page([kinds]).splitlines()
    assert any(line.startswith("| timed |") and line.endswith("| 1.5 · 0.5 |") for line in lines)
    (refused,) = (line for line in lines if line.startswith("| refused |"))
    assert "no no …" in refused
    assert len(refused) < 200


def test_a_weight_in_another_shape_is_no_weight(tmp_path):
    with pytest.raises(peer.PeerError, match=r"fc came back as \(4, 1\); it went in as \(1, 4\)"):
        meetings.compared(given(tmp_path), {"weight/fc": np.zeros((4, 1))})


def test_what_cannot_be_installed_is_a_row(tmp_path, monkeypatch):
    def fails(requirements):
        raise environment.CannotInstallError("No matching distribution found for nothing==0")

    monkeypatch.setattr(run, "environment", fails)
    family = Family("gguf_file", ("nothing==0",), ("nothing",))
    monkeypatch.setattr(run.networks, "write_all", lambda folder: [])
    earlier = tmp_path / run.RECORDS / "gguf_file/meetings.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text('[{"meeting": "of another day"}]', "utf-8")
    said = []
    run.run([family], tmp_path, said.append)
    (record,) = run.read(tmp_path)
    assert record["error"] == "cannot be installed: No matching distribution found for nothing==0"
    assert record["error"] in page([record])
    assert record["meetings"] == []
    assert any("cannot be installed" in line for line in said)


def test_pip_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "user_cache", lambda: tmp_path)
    monkeypatch.setattr(environment.venv, "create", lambda folder, with_pip: folder.mkdir(parents=True))
    monkeypatch.setattr(environment, "python", lambda folder: Path(sys.executable))
    with pytest.raises(environment.CannotInstallError, match="Invalid requirement"):
        environment.environment(["no such = requirement"])
    assert list((tmp_path / "peers").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "ERROR: Ignored the following versions that require a different python version: 2.0.0; 2.0.1\n"
            "ERROR: Could not find a version that satisfies the requirement a==2 (from versions: 0.1, 0.2)\n"
            "ERROR: No matching distribution found for a==2\n",
            "ERROR: No matching distribution found for a==2",
        ),
        (
            "WARNING: a\nERROR: Cannot install a and b\nERROR: ResolutionImpossible",
            "ERROR: Cannot install a and b",
        ),
        ("a\nno space left\n", "no space left"),
        ("", "pip failed"),
    ],
)
def test_the_reason_of_pip_is_no_list_of_versions(said, why):
    assert environment.reason(said) == why


def test_the_stored_page_comes_out_of_its_records():
    records = run.read(STORED)
    assert records
    assert (STORED / run.TABLE).read_text("utf-8") == page(records)
    assert {record["family"] for record in records} <= {family.name for family in FAMILIES}


def test_the_picture_shows_every_staircase():
    functions_found = [each for record in run.read(STORED) for each in record["functions"]]
    shown = {each["name"] for each in functions_found if each["bits"] in (2, 4) and "q" in each}
    panels = [ax for ax in draw(functions_found).axes if ax.get_visible()]
    assert len(panels) == len(shown)
    assert sum(len(ax.lines) - 1 for ax in panels) == sum(
        each["bits"] in (2, 4) and "q" in each for each in functions_found
    )


def test_families_name_adapters_and_versions_of_what_they_pin():
    for family in FAMILIES:
        names = [requirement.split("==")[0].split("[")[0] for requirement in family.requirements]
        assert set(family.about) <= set(names)
        assert family.quantizers or family.meetings or family.optimizers
        assert all("==" in requirement for requirement in family.requirements)
    # The table finds its lines by them.
    for kind in ("quantizers", "meetings", "optimizers"):
        titles = [title for family in FAMILIES for title in getattr(family, kind)]
        assert len(titles) == len(set(titles))


def test_the_command_lists_and_refuses(tmp_path, capsys):
    assert main(["peers", "--list", "--only", "gguf_file"]) == 0
    assert capsys.readouterr().out == "gguf_file: gguf==0.19.0 numpy==2.4.6\n"
    assert main(["peers", "--only", "gguf"]) == 2
    assert "--only must be one of" in capsys.readouterr().err
    assert main(["peers", "--redraw", "--out", str(tmp_path)]) == 2
    assert "has none" in capsys.readouterr().err


def test_the_command_redraws(tmp_path, capsys):
    target = tmp_path / run.RECORDS / "gguf_file"
    target.mkdir(parents=True)
    for path in (STORED / run.RECORDS / "gguf_file").iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    assert main(["peers", "--redraw", "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["family"] == "gguf_file"
    assert (tmp_path / run.TABLE).exists()
    assert (tmp_path / f"{run.PICTURE}.png").exists()
