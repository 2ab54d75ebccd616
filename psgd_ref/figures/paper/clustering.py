"""How weights gather on their targets through training, and what noise alone would do."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psgd_ref.figures.style import COLUMN, FAINT, INK, METHODS, ORANGE, letter, styled

LOOKS: dict[str, dict[str, Any]] = {
    "PSGD": METHODS["psgd"],
    "warped": METHODS["warped"],
    "mirror": METHODS["mirror"],
    "large batch": {"color": INK, "linestyle": "-", "marker": "v"},
    "no smoothing": {"color": ORANGE, "linestyle": (0, (5, 1, 1, 1)), "marker": "P"},
}
STEPS, SETTINGS = ("PSGD", "warped", "mirror"), ("PSGD", "large batch", "no smoothing")
UNIFORM_MEAN = 0.25


def draw(data: Mapping[str, Any]) -> Figure:
    """Four panels.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.clustering.run` gives it.
    """
    lines = data["lines"]
    with styled():
        figure, axes = plt.subplots(2, 2, figsize=(COLUMN, 4.4), sharex=True)
        for ax, names in zip(axes[0], (STEPS, SETTINGS), strict=True):
            for name in names:
                label = name if name != "large batch" else f"batch {lines[name]['batch_size']}"
                _line(ax, lines[name]["steps"], lines[name]["mean"], name, label)
            ax.axhline(UNIFORM_MEAN, color=FAINT, linewidth=1, zorder=0, linestyle="-")
            ax.legend(loc="lower left", fontsize=6.5, handlelength=2.2, labelspacing=0.2)
            ax.set_ylim(0, 0.28)
        for name in STEPS:
            _line(axes[1, 0], lines[name]["steps"], against_mirror(lines, name), name)
        for name in SETTINGS:
            _line(axes[1, 1], lines[name]["steps"], _shrunk(lines[name]["typical"]), name)
        for ax, names in zip(axes[1], (STEPS, SETTINGS), strict=True):
            for name in names:
                predicted = np.exp(np.log(_shrunk(lines[name]["predicted"])).mean(axis=0))
                look = {**LOOKS[name], "linestyle": "-", "markerfacecolor": "white", "linewidth": 0.7}
                ax.plot(lines[name]["steps"], predicted, markevery=5, **look)
            ax.set(xlabel="step", ylim=(0, 1.1))
        axes[0, 0].set_ylabel("mean $d/\\Delta$")
        axes[1, 0].set_ylabel("geometric mean of $d$")
        for ax in axes[:, 1]:
            ax.set_yticklabels([])
        letter(axes.ravel(), ["three steps", "three settings", "over mirror's", "over the start's"])
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    lines, count = data["lines"], len(data["seeds"])
    seeds = "one seed" if count == 1 else f"mean and standard deviation over {count} seeds"
    ends = {name: np.mean([row[-1] for row in line["mean"]]) for name, line in lines.items()}
    said = "; ".join(f"{name} {value:.3f}" for name, value in ends.items())
    predicted = {name: np.mean(_shrunk(line["predicted"])[:, -1]) for name, line in lines.items()}
    steps = "; ".join(
        f"{name} {np.mean(against_mirror(lines, name)[:, -1]):.2f} against {predicted[name]:.2f}"
        for name in ("PSGD", "warped")
    )
    settings = "; ".join(
        f"{name} {np.mean(_shrunk(lines[name]['typical'])[:, -1]):.2f} against {predicted[name]:.2f}"
        for name in (*SETTINGS, "mirror")
    )
    return (
        "Distance d of the weights from the nearest level through training: convolutional network on the "
        f"digits, inner layers, {data['bits']} bits, step Δ, η = {data['rate']:g} with a cosine schedule, "
        "ε = 0, "
        f"no decay, no momentum; {seeds}. Left: three "
        "Euler steps of one flow, batch 50. Right: PSGD; with batches of "
        f"{lines['large batch']['batch_size']} for as many steps; without label smoothing. Grey: weights "
        "spread "
        f"evenly. (a, b) Mean d/Δ; at the end {said}. (c) The geometric mean of d over that of mirror "
        "descent "
        "from the same start, and as thin lines with open marks the drift of ln d by gradient noise "
        "alone, −η²λ²v/2 a step "
        "(PSGD), half of it (warped), 0 (mirror) (claim E2), v measured from batch to batch on the way. "
        "At the "
        f"end measured against predicted: {steps}. (d) The geometric mean of d over its first value, with "
        f"the same prediction: {settings}. The steps come in the predicted order, but differ by less than "
        "predicted at the end; and even mirror descent, which noise alone does not move, gathers: claim E2 "
        "knows neither the walls of the cells, which turn weights back, nor the gradient's mean. Without "
        f"label smoothing the mean is {ends['no smoothing'] / ends['PSGD']:.2f} times that with it."
    )


def against_mirror(lines: Mapping[str, Any], name: str) -> Any:
    """The geometric mean of d over that of mirror descent, seed by seed.

    Parameters
    ----------
    lines : mapping
        As `experiments.reproduction.clustering.run` gives them.
    name : str
        Of the line that is compared.

    Returns
    -------
    array
        Shape (seeds, looks).
    """
    return np.array(lines[name]["typical"]) / np.array(lines["mirror"]["typical"])


def _shrunk(values: Any) -> Any:
    table = np.array(values)
    return table / table[:, :1]


def _line(ax: Axes, steps: Any, values: Any, name: str, label: str | None = None) -> None:
    table, look = np.array(values), LOOKS[name]
    mean = table.mean(axis=0)
    ax.plot(steps, mean, label=label, markevery=5, **look)
    if len(table) > 1:
        spread = table.std(axis=0, ddof=1)
        ax.fill_between(steps, mean - spread, mean + spread, color=look["color"], alpha=0.15, linewidth=0)
