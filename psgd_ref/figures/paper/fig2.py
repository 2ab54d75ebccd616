"""Fig. 2, the toy: the same loss over two rulers, and the three things that change where a weight ends."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, COLUMN, FAINT, INK, VERMILION, letter, styled

SHADE = ListedColormap(["white", "#BFDCEF"])


def draw(data: Mapping[str, Any]) -> Figure:
    """Six panels, two in a row.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.fig2.run` gives it.
    """
    with styled():
        figure, axes = plt.subplots(3, 2, figsize=(COLUMN, 5.5))
        _loss(axes[0, 0], axes[0, 1], data)
        _ends(axes[1, 0], data)
        _noise(axes[1, 1], data)
        for ax, name in zip(axes[2], ("gradient descent", "PSGD"), strict=True):
            _plane(ax, data["plane"], name)
        titles = ["Loss over $w$", "… over $f(w)$", "No noise", "Noise"]
        letter(axes.ravel(), [*titles, *(f"{name}" for name in ("Descent", "PSGD"))])
        for ax in axes.ravel():
            ax.title.set_fontsize(8.5)
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    noise, plane, wells = data["noise"], data["plane"], data["loss"]["wells"]
    width = {f"{name}_{key}": np.ptp(wells[name][key]) for name in "AB" for key in "wy"}
    shares = [plane[name]["share"] for name in ("gradient descent", "PSGD")]
    return (
        f"A toy with targets at 0 (dot) and {data['gap']:g}; dashed: the wall between their cells. "
        "(a) One weight, a loss with two wells of equal shape: A next to the target 0, B half-way between "
        f"two targets. Bars: the wells below a loss of {data['loss']['level']:g}; ticks below: an even "
        "ruler. "
        "(b) The same loss over the warped weight y = f(w), the ruler's ticks moved along: A is "
        f"{width['A_y'] / width['B_y']:.1f} times as wide as B, instead of "
        f"{width['A_w'] / width['B_w']:.1f}. "
        "Nothing but the ruler has changed. (c) Without noise the warp alone changes nothing: gradient "
        f"descent and PSGD (ε = {data['eps']:g}) lead every start to the same well. Only with ε = 0 the "
        "targets "
        f"on the way (dotted, here {data['ends']['gap']:g} apart) stop the weight. "
        f"(d) Noisy gradients do change it: where {noise['runs']} runs are in the second half of their "
        "way. SGD "
        f"ends in A's half in {noise['SGD']['in_A']:.0%} of its runs, PSGD in "
        f"{noise['PSGD']['in_A']:.0%}: noise is "
        "scaled as well, and weak near a target. Dashed: the stationary density of claim E1, "
        "∝ s⁻² exp(−(2/ηv)∫L′/s). (e, f) Two weights, no noise: shaded starts lead to A, lines are the ways "
        "from six starts. The scale turns the ways, and A's share of the starts goes from "
        f"{shares[0]:.0%} to "
        f"{shares[1]:.0%}; that is a property of this landscape and no theorem (claim D7)."
    )


def _loss(left: Axes, right: Axes, data: Mapping[str, Any]) -> None:
    loss = data["loss"]
    for ax, key in ((left, "w"), (right, "y")):
        ax.plot(loss[key], loss["loss"], color=INK)
        ax.vlines(loss["ticks"][key], -0.3, -0.22, color=INK, linewidth=0.6)
        for name, look in (("A", BLUE), ("B", VERMILION)):
            ends = loss["wells"][name][key]
            ax.plot(ends, [loss["level"]] * 2, color=look, linewidth=4, solid_capstyle="butt", linestyle="-")
            ax.annotate(name, (np.mean(ends), -0.14), ha="center", va="center", weight="bold", color=look)
        ax.plot([loss["target"][key]], [-0.26], "o", color=BLUE, markersize=5, clip_on=False)
        ax.axvline(loss["wall"][key], color=VERMILION, linestyle=(0, (4, 2)), linewidth=0.8, zorder=0)
        ax.set(ylim=(-0.32, 0.62), yticks=[0, 0.5], xlim=(loss[key][0], loss[key][-1]))
        ax.set_xlabel("$w$" if key == "w" else "$y$")
    left.set_ylabel("loss")
    right.set_yticklabels([])


def _ends(ax: Axes, data: Mapping[str, Any]) -> None:
    starts, ends = data["ends"]["starts"], data["ends"]["ends"]
    for target in data["ends"]["targets"]:
        ax.axhline(target, color=FAINT, linestyle=":", linewidth=0.8, zorder=0)
    looks = ((FAINT, "-", 4.5), (BLUE, "-", 1.2), (VERMILION, (0, (3, 1.5)), 1.4))
    for (name, end), (color, dash, width) in zip(ends.items(), looks, strict=True):
        ax.plot(starts, end, color=color, linestyle=dash, linewidth=width, label=name)
    ax.set(
        xlabel="start", ylabel="end", xticks=[0, 1], yticks=list(data["minima"].values()), ylim=(-0.5, 2.2)
    )
    ax.set_yticklabels(list(data["minima"]), weight="bold")
    ax.legend(loc="upper left", fontsize=6.5, handlelength=1.8, borderaxespad=0, labelspacing=0.2)


def _noise(ax: Axes, data: Mapping[str, Any]) -> None:
    noise = data["noise"]
    edges = np.array(noise["edges"])
    ax.stairs(noise["PSGD"]["density"], edges, fill=True, color="#BFDCEF", label="PSGD")
    ax.stairs(noise["SGD"]["density"], edges, color=INK, linewidth=1.2, label="SGD")
    middle = (edges[1:] + edges[:-1]) / 2
    ax.plot(middle, noise["predicted"], color=BLUE, linestyle="--", linewidth=1.1, label="theory")
    ax.set(xlabel="$w$", ylabel="density", xticks=[0, 1])
    ax.set_yscale("log")
    ax.set_ylim(0.02, 100)
    ax.legend(loc="upper right", fontsize=6.5, handlelength=1.5, borderaxespad=0, labelspacing=0.2)


def _plane(ax: Axes, plane: Mapping[str, Any], name: str) -> None:
    side = np.array(plane["side"])
    ax.pcolormesh(side, side, np.array(plane[name]["in_A"]), cmap=SHADE, shading="nearest", rasterized=True)
    ax.contour(side, side, plane["loss"], levels=7, colors=FAINT, linewidths=0.5, linestyles="-")
    for path in plane[name]["paths"]:
        way = np.array(path)
        ax.plot(way[:, 0], way[:, 1], color=VERMILION, linestyle="-", linewidth=1)
        ax.plot(*way[0], "o", color=VERMILION, markersize=2.5)
    for mark, place in plane["minima"].items():
        ax.plot(*place, "*", color=INK, markersize=6)
        ax.annotate(mark, place, (3, 3), textcoords="offset points", weight="bold")
    ax.plot([0], [0], "o", color=BLUE, markersize=4)
    ax.set(
        aspect="equal", xlabel="$w_1$", xlim=side[[0, -1]], ylim=side[[0, -1]], xticks=[0, 1], yticks=[0, 1]
    )
    if name != "PSGD":
        ax.set_ylabel("$w_2$")
