"""The tree: every folder says what is in it, none grows without a reason, and the wheel holds all of it."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "psgd_ref"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in SOURCES})


def test_no_tracked_file_is_ignored():
    # The wheel is built without what .gitignore names, tracked or not.
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    words = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard", "--", "psgd_ref", "tests"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""


def described(folder):
    init = folder / "__init__.py"
    return ast.get_docstring(ast.parse(init.read_text("utf-8"))) if init.exists() else None


def test_every_folder_says_what_is_in_it():
    assert [str(folder.relative_to(ROOT)) for folder in FOLDERS if not described(folder)] == []


def test_folders_of_more_than_fifteen_files_give_a_reason():
    wide = [folder for folder in FOLDERS if len(list(folder.glob("*.py"))) > 15]
    assert {folder.name for folder in wide} == {"kernels", "chapters", "families"}
    assert all("more than fifteen files" in described(folder).lower() for folder in wide)


def test_files_are_short():
    long = {path.name for path in SOURCES if len(path.read_text("utf-8").splitlines()) > 300}
    assert long <= {"tile.py", "reference.py"}
