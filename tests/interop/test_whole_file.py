import json

import pytest

from psgd_ref.interop.whole_file import whole_file, write_json, write_text


def test_texts_and_json_come_back(tmp_path):
    path = tmp_path / "it.json"
    write_json(path, {"Δ": [1, 2.5]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"Δ": [1, 2.5]}
    write_text(path, "λ\n")
    assert path.read_text(encoding="utf-8") == "λ\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "it.txt"
    write_text(path, "old")
    with pytest.raises(error):
        _half(path, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _half(path, error):
    with whole_file(path) as beside:
        beside.write_text("half")
        raise error
