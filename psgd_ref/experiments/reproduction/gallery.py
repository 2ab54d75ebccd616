"""The figures by name: what each runs, the pictures that it draws, and the files that it writes."""

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psgd_ref.core.arguments import choice
from psgd_ref.experiments.digits.recipe import EPOCHS
from psgd_ref.experiments.reproduction import clustering, fig1, fig2, fig3, fig4, landscape
from psgd_ref.experiments.store.arrays import ArrayStore
from psgd_ref.interop.whole_file import write_text

# Digits of the numbers that are written, and so of those that are drawn.
DIGITS = 6


@dataclass(frozen=True)
class Settings:
    """How much is run.

    Parameters
    ----------
    seeds : tuple of int
        Of the runs.
    epochs : int
        Of training.
    points : int
        Of the loss landscape, along each side of its plane.
    """

    seeds: tuple[int, ...] = tuple(range(5))
    epochs: int = EPOCHS
    points: int = 51

    def command(self, name: str) -> str:
        """What makes the figure again."""
        more = "" if self.epochs == EPOCHS else f" --epochs {self.epochs}"
        more += "" if self.points == Settings.points else f" --points {self.points}"
        return f"psgd-ref reproduce {name} --seed {self.seeds[0]} --seeds {len(self.seeds)}{more}"


@dataclass(frozen=True)
class Entry:
    """A figure: how its numbers are made, and the modules of `psgd_ref.figures.paper` that draw them."""

    run: Callable[[Settings, ArrayStore], dict[str, Any]]
    pictures: tuple[str, ...]


FIGURES = {
    "fig1": Entry(lambda s, store: fig1.run(s.seeds, s.epochs, store), ("fig1",)),
    "fig2": Entry(lambda s, store: fig2.run(s.seeds[0]), ("fig2",)),
    "fig3": Entry(lambda s, store: fig3.run(s.seeds, s.epochs, store), ("fig3",)),
    "fig4": Entry(
        lambda s, store: fig4.run(s.seeds, s.epochs, store),
        ("fig4_weights", "fig4_factors", "fig4_training", "fig4_cost", "fig4_spectrum"),
    ),
    "landscape": Entry(
        lambda s, store: landscape.run(s.seeds, s.epochs, store, s.points),
        ("landscape", "landscape_random", "landscape_ways"),
    ),
    "clustering": Entry(lambda s, store: clustering.run(s.seeds, s.epochs, store), ("clustering",)),
}
OF_RUN = ("landscape_random", "landscape_ways")


def reproduce(names: Sequence[str], settings: Settings, store: ArrayStore, out: Path) -> dict[str, Path]:
    """Run figures, or take what was run before, and write their files into `out`.

    For each figure NAME.json has its numbers, its captions and the command; each of its pictures is written
    as PNG and SVG; captions.md shows the pictures in `out` with captions.

    Parameters
    ----------
    names : sequence of str
        Of `FIGURES`, or "all".
    settings : Settings
        How much is run.
    store : ArrayStore
        Of results that are kept between commands.
    out : Path
        Folder of the files.

    Returns
    -------
    dict of Path
        The files by name.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    for name in names:
        choice("figure", name, (*FIGURES, "all"))
    paths: dict[str, Path] = {}
    for name in FIGURES if "all" in names else dict.fromkeys(names):
        entry = FIGURES[name]
        data = entry.run(settings, store)
        paths |= write(name, data, settings.command(name), entry.pictures, out)
    return paths


def reproduce_run(
    folder: Path, store: ArrayStore, out: Path, points: int, bits: int, images: int, data: Path | None = None
) -> dict[str, Path]:
    """Draw the loss landscape around a run of `psgd-ref train`, and write its files into `out`.

    Parameters
    ----------
    folder, store, points, bits, data
        As in `landscape.of_run`.
    out : Path
        Folder of the files.
    images : int
        Of training images, the first.

    Returns
    -------
    dict of Path
        The files by name.

    Raises
    ------
    ValueError
        As `landscape.of_run` does.
    """
    found = landscape.of_run(folder, store, points, bits, images, data)
    command = f"psgd-ref reproduce landscape --run {folder} --points {points} --bits {bits} --images {images}"
    return write("landscape_run", found, command, OF_RUN, out)


def write(
    name: str, data: dict[str, Any], command: str, pictures: Sequence[str], out: Path
) -> dict[str, Path]:
    """Draw the pictures from the very numbers that are written, and write both.

    Parameters
    ----------
    name : str
        Of the figure; its numbers are written to NAME.json.
    data : dict
        The numbers.
    command : str
        What makes the figure again.
    pictures : sequence of str
        Modules of `psgd_ref.figures.paper` that draw the numbers.
    out : Path
        Folder of the files, which is created.

    Returns
    -------
    dict of Path
        The pictures (PNG) and the numbers by name.
    """
    from psgd_ref.figures.style import save

    out.mkdir(parents=True, exist_ok=True)
    rounded = _rounded(data)
    captions, paths = {}, {}
    for picture in pictures:
        module = importlib.import_module(f"psgd_ref.figures.paper.{picture}")
        title = picture if picture.startswith(name) else f"{name}_{picture.rpartition('_')[2]}"
        captions[title] = module.caption(rounded)
        paths[title], _ = save(module.draw(rounded), out / title)
    numbers = out / f"{name}.json"
    # One line for each part: an array on as many lines as it has numbers would hide everything else.
    parts = {"command": command, "captions": captions, **rounded}
    lines = (f"{json.dumps(key)}: {json.dumps(part, ensure_ascii=False)}" for key, part in parts.items())
    write_text(numbers, "{\n" + ",\n".join(lines) + "\n}\n")
    _caption_all(out)
    return {**paths, f"{name}, numbers": numbers}


def _caption_all(out: Path) -> None:
    """captions.md: every picture in the folder that a JSON file there has a caption for."""
    lines = ["# Figures", "", "Each with the command that makes it and the file of its numbers.", ""]
    order = {name: i for i, name in enumerate([*FIGURES, "landscape_run"])}
    found = [path for path in out.glob("*.json") if path.stem in order]
    for path in sorted(found, key=lambda path: order[path.stem]):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            captions, command = dict(record["captions"]), record["command"]
        except (ValueError, KeyError, TypeError):
            print(f"{path} is damaged and left out of captions.md", file=sys.stderr)
            continue
        for title, text in captions.items():
            lines += [f"## {title}", "", f"![{title}]({title}.png)", "", text, ""]
        lines += [f"`{command}` · [{path.name}]({path.name})", ""]
    write_text(out / "captions.md", "\n".join(lines))


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case dict():
            return {key: _rounded(part) for key, part in value.items()}
        case list() | tuple():
            return [_rounded(part) for part in value]
    return value
