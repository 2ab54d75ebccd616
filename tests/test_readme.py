"""The README against the project: its example runs, its table is the stored one, its links lead somewhere."""

import re
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest

from psgd_ref.cli import _parser as parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    str(path.relative_to(ROOT))
    for glob in ("*.md", "theory/*.md", "notebooks/**/*.md")
    for path in sorted(ROOT.glob(glob))
    # Pages of the site alone, whose links lead to places there: building it follows them.
    if "site" not in path.relative_to(ROOT).parts
]


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


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for link, anchor in re.findall(r"\]\(([^)#:]+)(?:#([^)]*))?\)", text):
        target = (ROOT / page).parent / link
        assert target.exists(), link
        if anchor and target.suffix == ".ipynb":
            assert f'<a id=\\"{anchor}\\"></a>' in target.read_text(encoding="utf-8"), f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page, capsys):
    """Every command of the page parses; a name by itself, as in the table of commands, is one."""
    text = (ROOT / page).read_text(encoding="utf-8").replace("\\\n", " ")
    for inline, line in re.findall(r"`(psgd-ref [^`]+)`|^(psgd-ref .+)$", text, re.MULTILINE):
        words = shlex.split(re.split(r"[#>]", inline or line)[0])[1:]
        if len(words) == 1:
            words.append("--help")
        with pytest.raises(SystemExit, match="0") if "--help" in words else nullcontext():
            parser(words).parse_args([word for word in words if word != "…"])
        capsys.readouterr()


def test_the_readme_is_read_in_five_minutes():
    assert len(README.splitlines()) <= 120
