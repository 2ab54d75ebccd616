"""What each of three parts of a method adds, in every combination of the others."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, FAINT, GREEN, ORANGE, PAGE, letter, styled

COLORS = (BLUE, ORANGE, GREEN)


def draw(parts: Sequence[tuple[str, Sequence[tuple[str, float, float, float]]]]) -> Figure:
    """A panel for each part: the points it adds, with 95 % intervals, to each combination without it.

    Parameters
    ----------
    parts : sequence of (name, list of (combination, mean, low, high))
        In points of accuracy; three at most, with short names.
    """
    with styled():
        figure = Figure(figsize=(PAGE, 2.4), layout="constrained")
        panels = list(figure.subplots(1, len(parts), sharex=True))
        for ax, (_, rows), color in zip(panels, parts, COLORS, strict=False):
            for i, (_, mean, low, high) in enumerate(reversed(rows)):
                ax.errorbar(
                    mean, i, xerr=[[mean - low], [high - mean]], fmt="o", color=color, markersize=4, capsize=2
                )
            ax.axvline(0, color=FAINT, linewidth=1, zorder=0)
            ax.set_yticks(range(len(rows)), [name for name, *_ in reversed(rows)])
            ax.set_ylim(-0.5, len(rows) - 0.5)
            ax.set_xlabel("points it adds at 2 bits")
            ax.grid(axis="x")
        letter(panels, [name for name, _ in parts])
    return figure
