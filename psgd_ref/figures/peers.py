"""Staircases of public quantizers, small multiples over one axis."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, FAINT, PAGE, VERMILION, styled

_COLUMNS = 5
# Letters above a panel.
_WIDTH = 22
LOOKS = {2: (VERMILION, "-"), 4: (BLUE, "-")}


def draw(records: Sequence[dict[str, Any]]) -> Figure:
    """One panel a quantizer: Q(w) over w, −1 … 1, at 2 and at 4 bits; the diagonal is no rounding.

    Parameters
    ----------
    records
        With "name", "bits", "w" and "q"; others are left out.
    """
    shown = [record for record in records if record.get("bits") in LOOKS and "q" in record]
    names = list(dict.fromkeys(record["name"] for record in shown))
    lines = max(-(-len(names) // _COLUMNS), 1)
    with styled():
        figure = Figure(figsize=(PAGE, 0.6 + 1.35 * lines), layout="constrained")
        grid = figure.subplots(lines, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        for ax, name in zip(grid.flat, names, strict=False):
            ax.plot([-1, 1], [-1, 1], color=FAINT, linewidth=0.6, linestyle="-")
            for record in (each for each in shown if each["name"] == name):
                color, dash = LOOKS[record["bits"]]
                ax.step(
                    record["w"],
                    record["q"],
                    color,
                    where="mid",
                    linestyle=dash,
                    label=f"{record['bits']} bits",
                )
            ax.set_title(_broken(name), fontsize=6.5)
            ax.tick_params(labelsize=6.5)
            ax.set_xticks([-1, 0, 1])
            ax.set_yticks([-1, 0, 1])
        for ax in grid.flat[len(names) :]:
            ax.set_visible(False)
        handles = {
            label: handle
            for ax in grid.flat
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.supxlabel("weight w, in units of the largest", fontsize=8)
        figure.supylabel("Q(w)", fontsize=8)
        figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=2)
    return figure


def _broken(name: str) -> str:
    """A name in lines that fit above a panel; a longer word is broken before the capital in its middle."""
    lines: list[str] = []
    for word in name.split():
        if len(word) > _WIDTH:
            capitals = [i for i, letter in enumerate(word) if letter.isupper() and i] or [len(word) // 2]
            at = min(capitals, key=lambda i: abs(i - len(word) / 2))
            lines += [word[:at], word[at:]]
        elif lines and len(lines[-1]) + len(word) < _WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)
