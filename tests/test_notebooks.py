"""The notebooks: what each must have, that links lead somewhere, that they run without a checkout."""

import json
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from psgd_ref.experiments import course
from psgd_ref.experiments.course import stored

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LONGEST_CELL, LARGEST_OUTPUT = 16, 400_000
SOLUTION = re.compile(r"<details><summary>Solution</summary>\n\n(.*?)</details>", re.DOTALL)


def cells(path, kind=None):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if kind in (None, cell["cell_type"])]


def text(cell):
    return "".join(cell["source"])


def words(path):
    return "\n".join(text(cell) for cell in cells(path, "markdown"))


def solutions(path):
    found = SOLUTION.findall(words(path))
    return [code for each in found for code in re.findall(r"```python\n(.*?)```", each, re.DOTALL)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_has_a_question_an_answer_and_exercises(path):
    first, last = cells(path)[0], cells(path, "markdown")[-1]
    assert "**The question.**" in text(first)
    assert "\n## The answer\n" in f"\n{text(last)}"
    exercises = re.findall(r"^\*\*\d\.\*\*", words(path), re.MULTILINE)
    assert 1 <= len(exercises) == len(SOLUTION.findall(words(path)))
    assert any("assert " in text(cell) for cell in cells(path, "code"))
    assert all(f"](../{folder}/" in words(path) for folder in ("psgd_ref", "theory"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_executed_and_small(path):
    code = cells(path, "code")
    assert all(cell["execution_count"] for cell in code)
    assert [text(cell) for cell in code if len(text(cell).splitlines()) > LONGEST_CELL] == []
    assert len(json.dumps([cell["outputs"] for cell in code])) <= LARGEST_OUTPUT
    said = [output.get("name") for cell in code for output in cell["outputs"]]
    assert "stderr" not in said


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for link, anchor in re.findall(r"\]\(([^)#:\s]+)(?:#([^)]*))?\)", words(path)):
        target = path.parent / link
        assert target.exists(), link
        if anchor and target.suffix == ".ipynb":
            assert f'<a id="{anchor}"></a>' in words(target), f"{link}#{anchor}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_reads_no_file_of_the_checkout(path):
    """What is stored comes out of the package, so that a notebook by itself runs where that is installed."""
    code = "\n".join(text(cell) for cell in cells(path, "code"))
    assert re.findall(r"read_text|read_bytes|\bopen\(|\.\./", code) == []
    if path.name != "10_cifar10.ipynb":  # whose table takes hours, and which says so where it is not stored
        assert [name for name in re.findall(r'stored\("([^"]+)"\)', code) if not stored(name)] == []
    assert "`%pip install git+ADDRESS`" in text(cells(path)[0])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_solutions_run_after_the_first_cells(path, monkeypatch):
    """A solution needs nothing but the code cells at the head of its notebook."""
    monkeypatch.chdir(FOLDER)
    found = solutions(path)
    assert found
    head = []
    for cell in cells(path)[1:]:
        if cell["cell_type"] != "code":
            break
        head.append(text(cell))
    with mpl.rc_context({"backend": "agg"}):
        for code in found:
            names = {}
            exec(compile("\n".join(head), str(path), "exec"), names)
            exec(compile(code, f"{path.name}, solution", "exec"), names)
        plt.close("all")


def test_a_result_that_is_not_stored_is_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no result is stored as .*nothing\.json"):
        stored("nothing.json")
    # An installed package has its own copy.
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored/found.txt").write_text("here")
    monkeypatch.setattr(course, "PACKAGE", tmp_path)
    assert stored("found.txt") == "here"


def test_the_reading_order_names_every_notebook():
    readme = (ROOT / "notebooks/README.md").read_text(encoding="utf-8")
    assert [path.name for path in NOTEBOOKS if f"({path.name})" not in readme] == []
