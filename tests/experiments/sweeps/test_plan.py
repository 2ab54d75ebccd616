"""Sweep files: what a list means, which runs come of it, and what is refused."""

import pytest

from tests.experiments.sweeps.sweeps import planned

FILE = """
data = "moons"
lr = [0.1, 0.3]
milestones = [5, 7]
seed = [0, 1]
[methods.plain]
optimizer = "sgd"
[methods.scaled]
bits = [3, 2]
[evaluate]
bits = 4
reestimate = [false, true]
"""


def test_lists_multiply_with_each_other_and_with_the_methods(tmp_path):
    runs = planned(tmp_path, FILE)
    assert [str(run) for run in runs[:4]] == [
        "plain lr=0.1 seed=0",
        "plain lr=0.1 seed=1",
        "plain lr=0.3 seed=0",
        "plain lr=0.3 seed=1",
    ]
    scaled = [(c.bits, c.lr, c.seed) for c in (run.configuration for run in runs[4:])]
    assert sorted(scaled) == [(b, lr, s) for b in (2, 3) for lr in (0.1, 0.3) for s in (0, 1)]
    assert {run.configuration.optimizer for run in runs[4:]} == {"psgd"}
    assert all(run.configuration.milestones == (5, 7) for run in runs)
    assert runs[0].measure.bits == (4,)
    assert runs[0].measure.reestimate == (False, True)
    assert runs[0].measure.split == "validation"
    assert len({run.identity for run in runs}) == 12


def test_a_list_of_lists_of_milestones_is_several(tmp_path):
    runs = planned(tmp_path, "milestones = [[1], [2, 3]]")
    assert [run.configuration.milestones for run in runs] == [(1,), (2, 3)]
    assert [run.configuration.milestones for run in planned(tmp_path, "milestones = []")] == [()]


def test_the_identity_is_that_of_options_measure_and_code_not_of_names(tmp_path):
    text = 'lr = 0.1\nseed = 3\n[methods.NAME]\noptimizer = "sgd"\n[evaluate]\nbits = [4]\n'
    (first,) = planned(tmp_path, text)
    (renamed,) = planned(tmp_path, text.replace("NAME", "other"))
    (usual,) = planned(tmp_path, text.replace("lr = 0.1\n", ""))
    assert first.identity == renamed.identity == usual.identity
    for change in (("seed = 3", "seed = 4"), ("bits = [4]", "bits = [3]"), ("lr = 0.1", "lr = 0.2")):
        assert planned(tmp_path, text.replace(*change))[0].identity != first.identity


def test_of_a_start_file_the_contents_count(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (planned(tmp_path, f'start = "{tmp_path / name}"')[0].identity for name in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate = 0.1", "unknown option rate; accepted are data, model"),
        ("lr = -1", "lr must be a finite number >= 0; got -1"),
        ("lr = []", "lr must have at least one value"),
        ("seed = [1, 1]", "the same run is there more than once: psgd and psgd"),
        ("lr = [1, 1.0]", "the same run is there more than once"),
        ("momentum = 1.5", "momentum must lie in"),
        ("methods = 3", "methods must be a table; got 3"),
        ("[methods]\nsgd = 1", "sgd must be a table; got 1"),
        ("[evaluate]\nwidths = [4]", "unknown option of .evaluate. widths; accepted are bits"),
        ("[evaluate]\nbits = [1]", "evaluate.bits must be a whole number in 2..16; got 1"),
        ("[evaluate]\ngrids = ['best']", "evaluate.grids must be one of min-max"),
        ("[evaluate]\nreestimate = 1", "evaluate.reestimate must be false or true"),
        ("[evaluate]\nsplit = 'all'", "evaluate.split must be one of train"),
        ("[evaluate]\nsparsities = [101]", "evaluate.sparsities must lie in 0..100; got 101"),
        ("[evaluate]\nscope = 'all'", "evaluate.scope must be one of global, layer"),
        ("lr = = 1", "is not a TOML file"),
    ],
)
def test_bad_files_are_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message) as caught:
        planned(tmp_path, text)
    assert "sweep.toml" in str(caught.value)
