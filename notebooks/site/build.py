"""`make site`: lay out the sources, generate the pages that are made from code, and call Sphinx."""

import argparse
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from generate import pages  # noqa: E402

# Folders and files of the project that are read as pages, or that pages link to.
FOLDERS = ("findings", "notebooks", "psgd_ref", "tests", "theory")
LEFT_OUT = {"site", "__pycache__", ".ipynb_checkpoints"}


def tools(work: Path) -> Path:
    """The folder of KaTeX and axe-core, fetched from npm where package.json has changed."""
    folder = work / "npm"
    wanted, there = HERE / "package.json", folder / "package.json"
    if not (folder / "node_modules").exists() or there.read_bytes() != wanted.read_bytes():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(wanted, there)
        words = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--silent"]
        subprocess.run([npm(), "install", *words], cwd=folder, check=True)
    return folder


def npm() -> str:
    """npm beside this Python (the extra `docs` brings Node.js), or on the path."""
    beside = Path(sys.executable).with_name("npm")
    found = str(beside) if beside.exists() else shutil.which("npm")
    if found is None:
        raise SystemExit(
            "the site needs Node.js, which the extra docs installs: pip install 'psgd_ref[docs]'"
        )
    return found


def layout(source: Path, generated: dict[str, str]) -> None:
    """Fill the folder that Sphinx reads: the project's own files, and generated pages.

    What is as it was keeps its time stamp, so that only what has changed is read again. (Links in the place
    of copies would do, if MyST did not follow them and then look for a link's target where they lead.)
    """
    wanted: set[Path] = set()
    for path in _files():
        copy = source / path.relative_to(HERE / "pages" if HERE in path.parents else ROOT)
        wanted.add(copy)
        if not copy.exists() or copy.stat().st_mtime != path.stat().st_mtime:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
    for name, text in generated.items():
        path = source / name
        wanted.add(path)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in sorted(source.rglob("*"), reverse=True):
        if path.is_file() and path not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _files() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and not LEFT_OUT & set(path.relative_to(ROOT).parts):
                yield path
    yield from (path for path in (HERE / "pages").rglob("*") if path.is_file())


def code() -> str:
    """A hash of what makes pages; where it is another one, all are read and written anew."""
    kinds, apart = (".py", ".html", ".mjs"), {"browser", "static"}
    files = (path for path in HERE.rglob("*") if path.suffix in kinds and not apart & set(path.parts))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(files))).hexdigest()[:12]


def main() -> int:
    """Build the site into a folder; the status is Sphinx's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=ROOT / "out/site")
    parser.add_argument("--work", type=Path, default=ROOT / ".cache/site", help="what is kept between builds")
    options = parser.parse_args()
    out, work = options.out.resolve(), options.work.resolve()
    folder = tools(work)
    source = work / "source"
    layout(source, pages.all_pages(ROOT))
    settings = [f"-Dpsgd_npm={folder}", f"-Dpsgd_code={code()}", "-c", str(HERE)]
    words = ["-b", "html", "-a", "-W", "--keep-going", "-q", "-d", str(work / "doctrees"), *settings]
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(source), str(out)], check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
