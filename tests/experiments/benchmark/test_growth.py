"""How cost grows: slopes on an oracle, and the command's files; that it is fast is not tested here."""

import json
from types import SimpleNamespace

import pytest

from psgd_ref.cli import main
from psgd_ref.experiments.benchmark import growth


def test_a_slope_is_the_exponent():
    points = [growth.Point("width", n, 3e-3 * n**1.5, 100.0 * n) for n in (8, 16, 64)]
    result = growth.Result(points)
    assert result.slope("width", "seconds") == pytest.approx(1.5)
    assert result.slope("width", "bytes") == pytest.approx(1.0)
    assert "| slope, width |  | 1.50 | 1.00 |" in result.table()
    for slope, shown in ((-0.004, "0.00"), (-0.006, "-0.01")):
        flat = growth.Result([growth.Point("threads", n, 1.0, float(n) ** slope) for n in (1, 2, 4)])
        assert f"| slope, threads |  | 0.00 | {shown} |" in flat.table()


def test_of_the_rounds_the_fastest_counts(monkeypatch):
    seconds = iter([5.0, 2.0, 3.0, 4.0, 4.0, 1.0])

    class Pool:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def submit(self, call, axis, value):
            point = None if call is growth.rehearse else growth.Point(axis, value, next(seconds), 1.0)
            return SimpleNamespace(result=lambda: point)

    monkeypatch.setattr(growth, "processes", lambda count, threads: Pool())
    found = growth.run({"width": (8, 16)}).points
    assert [(point.value, point.seconds) for point in found] == [(8, 3.0), (16, 1.0)]


def test_command_measures_draws_and_prints(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(growth, "ROUNDS", 1)
    monkeypatch.setitem(growth.AXES, "weights", (1_000, 2_000_000))
    folder = tmp_path / "new" / "folder"
    assert main(["bench", "--growth", str(folder), "--only", "weights", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((folder / "growth.json").read_text()) == printed
    small, large = printed["points"]
    assert [(p["axis"], p["value"]) for p in (small, large)] == [("weights", 1_000), ("weights", 2_000_000)]
    assert min(small["seconds"], large["seconds"]) > 0
    # Weights and gradients at least, of four bytes each.
    assert large["bytes"] > 2 * 4 * 2_000_000
    assert (folder / "growth.png").stat().st_size > 1_000


def test_axes_are_listed_and_an_unknown_one_is_refused(tmp_path, capsys):
    assert main(["bench", "--growth", str(tmp_path), "--list"]) == 0
    assert capsys.readouterr().out.split() == ["batch", "width", "depth", "threads", "weights"]
    assert main(["bench", "--growth", str(tmp_path / "x"), "--only", "height"]) == 2
    assert (
        "no axis is named height; there are batch, width, depth, threads, weights" in capsys.readouterr().err
    )
    assert not (tmp_path / "x").exists()
