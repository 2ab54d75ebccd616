"""One look for every picture of the project: legible in grey, safe for the colour-blind, column wide."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psgd_ref.interop.whole_file import whole_file

# Widths in inches: one column of a two-column page, and the whole page.
COLUMN = 3.4
PAGE = 7.0

# Okabe and Ito's palette, dark to light. Lines also differ by dash, so that grey print loses nothing.
INK = "#000000"
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
ORANGE = "#E69F00"
SKY = "#56B4E9"
FAINT = "#B0B0B0"
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)))

# A method looks the same in every figure: colour, dash and marker.
METHODS: dict[str, dict[str, Any]] = {
    "sgd": {"color": INK, "linestyle": "-", "marker": "o"},
    "psgd": {"color": BLUE, "linestyle": "--", "marker": "s"},
    "warped": {"color": VERMILION, "linestyle": "-.", "marker": "^"},
    "mirror": {"color": GREEN, "linestyle": ":", "marker": "D"},
}

# Images run from light to dark evenly in grey, too.
COLORMAP = "cividis"

# `Any`, because newer matplotlib types the keys of its settings one by one and older ones do not.
RC: Any = {
    "figure.figsize": (COLUMN, 2.4),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 200,
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[INK, BLUE, VERMILION, GREEN, ORANGE, SKY]) + cycler(linestyle=DASHES),
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": True,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 3.5,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "image.cmap": COLORMAP,
    # Ids inside an SVG come from this salt instead of a random one: the same figure, the same bytes.
    "svg.hashsalt": "psgd_ref",
}


def apply() -> None:
    """Set the style for the rest of the session (notebooks)."""
    # A notebook shows figures that pyplot did not make only once its backend is loaded.
    plt.switch_backend(plt.get_backend())
    plt.rcParams.update(RC)


@contextmanager
def styled() -> Iterator[None]:
    """Use the style within a `with` block and leave matplotlib's settings as they were (programs)."""
    with plt.rc_context(RC):
        yield


def line(method: str) -> dict[str, Any]:
    """Colour and dash of a method, without its marker.

    Parameters
    ----------
    method : str
        "sgd", "psgd", "warped" or "mirror".

    Returns
    -------
    dict
        "color" and "linestyle", as matplotlib takes them.
    """
    return {key: METHODS[method][key] for key in ("color", "linestyle")}


def letter(axes: Iterable[Axes], titles: list[str]) -> None:
    """Title the panels of a figure (a), (b), … from left to right."""
    for name, ax, title in zip(ascii_lowercase, axes, titles, strict=False):
        ax.set_title(f"({name}) {title}")


def save(figure: Figure, path: str | Path) -> tuple[Path, Path]:
    """Write `path`.png and `path`.svg, byte for byte the same each time: neither carries a date or version.

    Parameters
    ----------
    figure : Figure
        What is written.
    path : str or Path
        File name without its suffix; its folder is created.

    Returns
    -------
    tuple of Path
        Of the PNG and of the SVG.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    png, svg = path.with_name(path.name + ".png"), path.with_name(path.name + ".svg")
    with plt.rc_context({"svg.hashsalt": RC["svg.hashsalt"]}):
        with whole_file(png) as beside:
            figure.savefig(beside, format="png", metadata={"Software": None})
        with whole_file(svg) as beside:
            figure.savefig(beside, format="svg", metadata={"Date": None, "Creator": None})
    return png, svg
