"""What the reproduced figures run: the store, the toy, curvature, and the command."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from psgd_ref.analysis import toy
from psgd_ref.commands.reproduce import NAMES
from psgd_ref.data import load_digits
from psgd_ref.experiments.reproduction import clustering, curvature, fig2, gallery, training
from psgd_ref.experiments.store.arrays import ArrayStore
from psgd_ref.figures.paper import fig2 as drawing
from psgd_ref.nn.functional import cross_entropy
from tests.command import run


@dataclass(frozen=True)
class Number:
    value: int


def squares(job):
    return {"square": np.array(job.value**2)}


def test_the_store_runs_what_is_missing_and_reads_the_rest(tmp_path, monkeypatch):
    from psgd_ref.experiments.store import arrays as module

    asked = []

    def here(function, jobs, workers, title):
        asked.append(len(jobs))
        return [function(job) for job in jobs]

    monkeypatch.setattr(module, "run_all", here)
    store = ArrayStore(tmp_path)
    assert [int(a["square"]) for a in store.all(squares, [Number(2), Number(3)], "")] == [4, 9]
    assert [int(a["square"]) for a in store.all(squares, [Number(3), Number(5)], "")] == [9, 25]
    assert asked == [2, 1]
    made = []
    for _ in range(2):
        store.one(lambda: made.append(1) or {"x": np.ones(1)}, {"a": 1})
    assert len(made) == 1
    assert not list(tmp_path.glob("*.tmp"))


def test_the_toy_slopes_are_those_of_its_losses():
    w, h = np.linspace(-0.5, 1.5, 50), 1e-6
    slope = (toy.double_well(w + h) - toy.double_well(w - h)) / (2 * h)
    assert np.allclose(toy.double_well_slope(w), slope, atol=1e-7)
    assert (toy.A + toy.B) / 2 == toy.HILL
    points = np.random.default_rng(0).uniform(-1, 2, (50, 2))
    for axis in np.eye(2):
        slope = (toy.plane(points + h * axis) - toy.plane(points - h * axis)) / (2 * h)
        assert np.allclose(toy.plane_slope(points) @ axis, slope, atol=1e-7)


def test_fig2_shows_what_its_caption_says():
    data = fig2.run(0)
    ends = {name: np.array(values) for name, values in data["ends"]["ends"].items()}
    starts = np.array(data["ends"]["starts"])
    wells = np.where(starts < toy.HILL, toy.A, toy.B)
    clear = np.abs(starts - toy.HILL) > 0.01
    assert np.allclose(ends["gradient descent"][clear], wells[clear], atol=1e-3)
    assert np.allclose(ends["PSGD"][clear], wells[clear], atol=1e-3)
    stuck = np.abs(ends["PSGD, ε = 0"] - np.array(data["ends"]["targets"])[:, None]).min(axis=0) < 1e-3
    assert stuck.mean() > 0.3
    noise = data["noise"]
    assert abs(noise["SGD"]["in_A"] - 0.5) < 0.06
    assert noise["PSGD"]["in_A"] > 0.95
    # The histogram of PSGD's runs against the stationary density: total variation.
    width = np.diff(noise["edges"])
    assert np.abs(np.array(noise["PSGD"]["density"]) - noise["predicted"]) @ width / 2 < 0.1
    assert np.array(noise["predicted"]) @ width == pytest.approx(1, abs=0.1)
    shares = [data["plane"][name]["share"] for name in ("gradient descent", "PSGD")]
    assert shares[1] > shares[0] + 0.05
    widths = {name: np.ptp(well["y"]) / np.ptp(well["w"]) for name, well in data["loss"]["wells"].items()}
    assert widths["A"] > 1 > widths["B"]
    figure = drawing.draw(data)
    figure.draw_without_rendering()
    assert "(e, f)" in drawing.caption(data)


def test_the_curvature_of_a_network_against_its_parts():
    """The loss and the true cost, computed from the forward pass alone."""
    from psgd_ref.compress import quantize
    from psgd_ref.models import mlp

    model = mlp((64, 8, 8, 10), seed=1)
    found = curvature.curvature(model, 2, (3,), 0.1)
    images, labels = training.train_images(load_digits())
    loss = cross_entropy(model.forward(images), labels, 0.1)[0]
    rounded = cross_entropy(quantize(model, 3).forward(images), labels, 0.1)[0]
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    assert found["true_W3"] == pytest.approx(rounded - loss, rel=1e-3, abs=1e-5)
    assert found["squared_W3"] == pytest.approx(np.sum((quantize(model, 3).w - model.w) ** 2), rel=1e-4)
    assert found["top"] > 0


def test_looks_are_taken_when_asked_and_change_nothing():
    job = training.Job("mlp", None, {"lr": 0.1, "momentum": 0.0}, 0, epochs=2)
    model, seen = training.train(job, lambda m, o, s: {"rate": o.rate(s.state)}, (0, 2))
    alone, _ = training.train(job)
    assert [(line["epoch"], line["step"]) for line in seen] == [(0, 0), (2, 40)]
    assert seen[0]["rate"] == 0.1
    assert np.array_equal(model.w, alone.w)
    again = training.restored(job, training.weights(model))
    assert np.array_equal(again.w, model.w)


def test_the_drift_is_predicted_from_the_measured_noise():
    looks = {"step": np.array([0, 10, 30]), "typical": np.array([0.2, 0.1, 0.1]), "drift": -np.full(3, 0.01)}
    assert clustering._predicted(looks) == pytest.approx(0.2 * np.exp([0, -0.1, -0.3]))


def test_the_command_knows_every_figure():
    assert (*gallery.FIGURES, "all") == NAMES


def test_fig1_and_fig3_from_the_command_line(capsys, tmp_path):
    words = ["fig1", "fig3", "--seeds", 1, "--epochs", 1, "--workers", 1]
    places = ["--out", tmp_path / "out", "--cache", tmp_path / "cache"]
    status, out, _ = run(capsys, "reproduce", *words, *places, "--json")
    assert status == 0
    paths = json.loads(out)
    assert set(paths) == {"fig1", "fig1, numbers", "fig3", "fig3, numbers"}
    record = json.loads((tmp_path / "out/fig1.json").read_text(encoding="utf-8"))
    assert record["command"] == "psgd-ref reproduce fig1 --seed 0 --seeds 1 --epochs 1"
    # The numbers against recomputation from the kept weights.
    job = next(job for job in training.demonstrated("convnet", 0, 1) if job.bits == 3)
    kept = next(
        arrays
        for path in (tmp_path / "cache").glob("*.npz")
        for arrays in [dict(np.load(path))]
        if arrays["error"].tolist() == pytest.approx(record["methods"][job.name]["error"][0], rel=1e-5)
    )
    from psgd_ref.training import evaluate

    model = training.restored(job, kept)
    accuracy = evaluate(model, load_digits(), (3,), reestimate=True)
    assert 1 - accuracy["W3"] == pytest.approx(record["methods"][job.name]["error"][0][3], rel=1e-5)
    for name in ("fig1.png", "fig1.svg", "fig3.png", "fig3.json", "captions.md"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    before = (tmp_path / "out/fig1.png").read_bytes()
    assert run(capsys, "reproduce", *words, *places)[0] == 0
    assert (tmp_path / "out/fig1.png").read_bytes() == before


def test_the_landscape_of_a_run(capsys, tmp_path):
    quick = ["--data", "moons", "--epochs", 1, "--batch-size", 600, "--out", tmp_path / "run"]
    assert run(capsys, "train", *quick)[0] == 0
    words = ["landscape", "--run", tmp_path / "run", "--points", 3, "--images", 40, "--workers", 1]
    places = ["--out", tmp_path / "out", "--cache", tmp_path / "cache"]
    assert run(capsys, "reproduce", *words, *places)[0] == 0
    record = json.loads((tmp_path / "out/landscape_run.json").read_text(encoding="utf-8"))
    plane, way = record["random"]["run"], record["ways"]["run"]
    assert np.shape(plane["losses"]) == (3, 3)
    # The middle of the plane and the start of the way are the run itself.
    middle = plane["losses"][1][1]
    assert way["w"][way["way"].index(0)] == pytest.approx(middle, rel=1e-4)
    assert {"landscape_run_random.png", "landscape_run_ways.png"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fig9"], "figure must be one of fig1, fig2, fig3, fig4, landscape, clustering, all; got 'fig9'"),
        (["landscape", "--points", "2"], "--points must be a whole number >= 3; got 2"),
        (["fig1", "--status"], "--status goes with table-cifar10 alone; got fig1"),
        (["fig1", "--run", "nowhere"], "--run goes with landscape alone; got fig1"),
        (["landscape", "--run", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_line(words, message, capsys, tmp_path):
    status, out, error = run(capsys, "reproduce", *words, "--out", tmp_path)
    assert (status, out) == (2, "")
    assert message in error
    assert len(error.splitlines()) == 1
