"""The examples of the how-to run as they stand."""

import importlib.util
import re
import warnings
from pathlib import Path

import pytest

TEXT = (Path(__file__).parent.parent.parent / "notebooks/howto.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## (.+?)\n.*?```python( torch)?\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(("title", "extra", "code"), EXAMPLES, ids=[title for title, *_ in EXAMPLES])
def test_the_example_runs(title, extra, code, tmp_path, monkeypatch):
    if extra and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        exec(compile(code, f"howto.md, {title}", "exec"), {})


def test_every_section_has_an_example():
    assert len(EXAMPLES) == len(re.findall(r"^## ", TEXT, re.MULTILINE)) == 4
