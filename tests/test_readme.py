"""The README against the project: its example runs, its table is the stored one, its links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.strip().splitlines()) <= 11
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "'W3'" in printed
    assert "·" in printed


def test_the_table_is_the_one_that_the_command_wrote():
    stored = (ROOT / "notebooks/demo/table.md").read_text(encoding="utf-8")
    assert f"<!-- table: notebooks/demo/table.md -->\n{stored}<!-- end of table -->" in README


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "theory/README.md", "theory/harness.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert ((ROOT / page).parent / link).exists(), link
