"""What a result depends on: formulas that its computation reaches, not where files lie."""

import sys
from pathlib import Path

import pytest

from psgd_ref.experiments.store.sources import Sources

FILES = {
    "pkg/__init__.py": '"""All."""\n__version__ = "1"\n',
    "pkg/run.py": (
        '"""Runs."""\n'
        "import numpy as np\n"
        "from pkg.tools import double\n"
        "from pkg.tools.third import third\n\n\n"
        "def run(x):\n    return third(double(np.abs(x)))\n"
    ),
    "pkg/tools/__init__.py": (
        '"""Tools."""\n'
        "from pkg.tools.double import double\n"
        "from pkg.tools.half import half\n\n"
        '__all__ = ["double", "half"]\n'
    ),
    "pkg/tools/double.py": "def double(x):\n    return 2 * x\n",
    "pkg/tools/half.py": "def half(x):\n    return x / 2\n",
    "pkg/tools/third.py": "def third(x):\n    from pkg.tools.half import half\n\n    return half(x) / 1.5\n",
    "pkg/figures/draw.py": "def draw(x):\n    return x\n",
}


def version(folder, changes=(), entry="pkg.run"):
    """The version of the files with some of them written anew; None takes one away."""
    files = FILES | dict(changes)
    for name, text in files.items():
        if text is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    return Sources(folder / "pkg").version(entry)


@pytest.fixture
def changed(tmp_path):
    """Whether changes make another version."""
    before = version(tmp_path / "before")
    return lambda changes: version(tmp_path / "after", changes) != before


def edit(name, *pairs):
    text = FILES[name]
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return {name: text}


@pytest.mark.parametrize(
    "changes",
    [
        edit("pkg/tools/double.py", ("2 * x", "3 * x")),
        edit("pkg/tools/half.py", ("x / 2", "x / 2.0")),
        edit("pkg/run.py", ("third(double(", "double(third(")),
        edit("pkg/run.py", ("import numpy as np", "import cupy as np")),
        edit("pkg/tools/third.py", ("import half", "import halve as half")),
        # What a package gives under a name is that of another file.
        edit(
            "pkg/tools/__init__.py",
            ("from pkg.tools.double import double", "from pkg.tools.half import half as double"),
        ),
        edit("pkg/run.py", ("third import third", "half import half as third")),
        # A package on the way that does something.
        edit("pkg/tools/__init__.py", ("__all__", "import numpy\n\nnumpy.seterr(all='raise')\n__all__")),
    ],
    ids=str,
)
def test_a_change_of_what_is_computed_is_another_version(changed, changes):
    assert changed(changes)


def test_two_imports_that_are_exchanged_are_another_version(tmp_path):
    """Every file is reached before and after: what the names mean has changed."""
    text = "from pkg.tools.{} import {} as f\nfrom pkg.tools.{} import {} as g\n\n\n"
    text += "def run(x):\n    return f(x) - g(x)\n"
    one, other = ("double", "double", "half", "half"), ("half", "half", "double", "double")
    versions = [version(tmp_path, {"pkg/run.py": text.format(*names)}) for names in (one, other)]
    assert versions[0] != versions[1]


def test_a_branch_that_changes_its_side_is_another_version(tmp_path):
    texts = [f"try:\n    f()\n{word}:\n    g()\n" for word in ("finally", "except ValueError", "except")]
    texts += ["for x in y:\n    f()\nelse:\n    g()\n", "for x in y:\n    f()\n    g()\n", "f()\ng()\n"]
    versions = [version(tmp_path / str(i), {"pkg/run.py": text}) for i, text in enumerate(texts)]
    assert len(set(versions)) == len(texts)


@pytest.mark.parametrize(
    "changes",
    [
        edit("pkg/run.py", ("Runs.", "Runs once more.")),
        edit("pkg/tools/double.py", ("(x):", '(x):\n    """Two of them."""  # so')),
        edit("pkg/run.py", ("import numpy as np\n", "import numpy as np  # arrays\n\n")),
        edit("pkg/tools/__init__.py", (', "half"', "")),
        # Not used by anything that the run reaches, or only drawn.
        {"pkg/tools/fourth.py": "def fourth(x):\n    return x / 4\n"},
        edit("pkg/tools/__init__.py", ("__all__", "from pkg.tools.sixth import sixth\n__all__"))
        | {"pkg/tools/sixth.py": "def sixth(x):\n    return x / 6\n"},
        {"pkg/figures/draw.py": "def draw(x):\n    return -x\n"},
        edit("pkg/__init__.py", ("__version__", "LAZY = 1\n__version__")),
        # Imports in another order, and one past the package that passes the name on.
        edit(
            "pkg/run.py",
            (
                "from pkg.tools import double\nfrom pkg.tools.third import third\n",
                "from pkg.tools.third import third\nfrom pkg.tools.double import double\n",
            ),
        ),
        edit("pkg/run.py", ("from pkg.tools import", "from .tools import")),
    ],
    ids=str,
)
def test_what_does_not_compute_leaves_the_version(changed, changes):
    assert not changed(changes)


def test_files_that_move_with_their_imports_leave_the_version(tmp_path):
    before = version(tmp_path / "before")
    moved = {
        "pkg/start/run.py": FILES["pkg/run.py"].replace("pkg.tools.third", "pkg.tools.parts.third"),
        "pkg/start/__init__.py": '"""What is run."""\n',
        "pkg/run.py": None,
        "pkg/tools/__init__.py": FILES["pkg/tools/__init__.py"].replace("tools.half", "tools.parts.half_of"),
        "pkg/tools/parts/__init__.py": '"""Parts."""\nfrom pkg.tools.parts.half_of import half\n',
        "pkg/tools/parts/half_of.py": FILES["pkg/tools/half.py"],
        "pkg/tools/parts/third.py": FILES["pkg/tools/third.py"].replace("tools.half", "tools.parts"),
        "pkg/tools/half.py": None,
        "pkg/tools/third.py": None,
    }
    assert version(tmp_path / "after", moved, "pkg.start.run") == before


def test_a_module_from_elsewhere_is_read_where_it_was_loaded(tmp_path):
    assert Sources(tmp_path / "pkg").version(__name__) != Sources(tmp_path / "pkg").version("random")
    with pytest.raises(ValueError, match="no source of the module nowhere is found"):
        Sources(tmp_path / "pkg").version("nowhere")


def test_a_drawing_import_counts_nowhere(tmp_path):
    """Saving draws: where the drawing lies is none of the numbers' business."""
    draws = "\n\ndef save(x):\n    from pkg.figures.{} import draw\n\n    draw(x)\n"
    one, other = (
        version(tmp_path, {"pkg/run.py": FILES["pkg/run.py"] + draws.format(name)})
        for name in ("draw", "paper.draw")
    )
    assert one == other


def test_the_sweeps_entry_reaches_kernels_and_no_drawing():
    package = Path(sys.modules["psgd_ref"].__file__).parent
    sources = Sources(package)
    sources.version("psgd_ref.experiments.sweeps.run")
    read = {name for name, source in sources.known.items() if source is not None}
    assert {"psgd_ref.kernels.update", "psgd_ref.core.scale", "psgd_ref.compress.grids.min_max"} <= read
    assert not any(
        name.startswith(("psgd_ref.figures", "psgd_ref.laws", "psgd_ref.commands")) for name in read
    )
