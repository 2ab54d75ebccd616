"""The toy of Fig. 2 with its numbers to choose: as a picture, and with sliders in a notebook."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from psgd_ref.analysis import toy
from psgd_ref.core import UniformGrid, Warp
from psgd_ref.figures.style import BLUE, INK, PAGE, letter, line, styled

RUNS, STEPS, LOW, HIGH = 300, 600, -0.45, 1.5


def draw(
    eps: float = 0.02,
    strength: float = 4.0,
    gap: float = 2.0,
    lr: float = 0.05,
    noise: float = 2.0,
    seed: int = 0,
) -> Figure:
    """The loss over w and over y = f(w), and where noisy runs of SGD and PSGD spend their second half.

    Parameters
    ----------
    eps, strength, gap : float
        ε ≥ 0, λ > 0 and Δ > 0 of the warp.
    lr : float
        The learning rate η ≥ 0.
    noise : float
        Standard deviation of the gradient's noise.
    seed : int
        Of the starts and of the noise.

    Returns
    -------
    Figure
        As wide as the page.
    """
    warp = Warp(UniformGrid(gap), eps, strength)
    w = np.linspace(LOW, HIGH, 400)
    loss = toy.double_well(w)
    rng = np.random.default_rng(seed)
    start = rng.uniform(LOW, HIGH, RUNS)
    with styled():
        figure, axes = plt.subplots(1, 3, figsize=(PAGE, 2.4))
        for ax, place in ((axes[0], lambda x: x), (axes[1], warp)):
            ax.plot(place(w), loss, color=INK)
            for tick in np.linspace(LOW, HIGH, 40):
                ax.plot([float(place(tick))] * 2, [-0.28, -0.2], color=INK, linewidth=0.6, linestyle="-")
            for target in np.unique(warp.targets.nearest(w)):
                if LOW <= target <= HIGH:
                    ax.plot(float(place(target)), -0.24, "o", color=BLUE, markersize=5)
            for name, x in (("A", toy.A), ("B", toy.B)):
                ax.annotate(name, (float(place(x)), -0.1), ha="center", va="center", weight="bold")
            ax.set(ylim=(-0.3, 0.7), yticks=[0, 0.5])
        axes[0].set(xlabel="$w$", ylabel="loss")
        axes[1].set(xlabel="$y=f(w)$")
        edges = np.linspace(LOW - 0.5, HIGH + 0.5, 70)
        for name, way in (("SGD", None), ("PSGD", warp)):
            with np.errstate(over="ignore", invalid="ignore"):
                path = _path(start, way, lr, noise, rng)
            late = path[STEPS // 2 :]
            label = f"{name}: {np.mean(path[-1] < toy.HILL):.0%} in A"
            axes[2].stairs(np.histogram(late, edges)[0] / late.size, edges, label=label, **line(name.lower()))
        axes[2].set(xlabel="$w$", ylabel="share of the time")
        axes[2].legend()
        letter(axes, ["over $w$", "over $y$", "noisy runs"])
    return figure


def sliders() -> Any:
    """The picture with sliders for ε, λ, Δ, η and the noise, as the last expression of a notebook's cell.

    Returns
    -------
    interactive or Figure
        The sliders; a plain picture where ipywidgets is missing.
    """
    try:
        from ipywidgets import FloatLogSlider, FloatSlider, interactive
    except ImportError:
        return draw()

    def show(eps: float, strength: float, gap: float, lr: float, noise: float) -> None:
        figure = draw(eps, strength, gap, lr, noise)
        plt.show()
        plt.close(figure)

    later = {"continuous_update": False}
    return interactive(
        show,
        eps=FloatLogSlider(0.02, min=-4, max=0, description="ε", **later),
        strength=FloatSlider(4.0, min=0.5, max=12, step=0.5, description="λ", **later),
        gap=FloatSlider(2.0, min=0.2, max=3, step=0.1, description="Δ", **later),
        lr=FloatSlider(0.05, min=0.01, max=0.1, step=0.01, description="η", **later),
        noise=FloatSlider(2.0, min=0, max=4, step=0.25, description="noise", **later),
    )


def _path(start: Any, warp: Warp | None, lr: float, noise: float, rng: np.random.Generator) -> Any:
    """The runs, held within twice the picture: a step that is too long would leave the numbers."""

    def slope(w: Any) -> Any:
        return toy.double_well_slope(np.clip(w, 2 * LOW, 2 * HIGH))

    return toy.descend(start, slope, warp, lr, STEPS, noise, rng)
