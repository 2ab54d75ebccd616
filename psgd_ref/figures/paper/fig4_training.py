"""Fig. 4(b) through training: curvature in both metrics and its limits of stability, the cost of rounding."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, COLUMN, letter, styled

LOOKS: dict[str, dict[str, Any]] = {
    "SGD": {"color": "#4D4D4D", "linestyle": "-", "marker": "o"},
    "PSGD → W2": {"color": BLUE, "linestyle": "--", "marker": "s"},
}


def draw(data: Mapping[str, Any]) -> Figure:
    """Four panels against steps.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.fig4.run` gives it.
    """
    bits = data["bits"]
    with styled():
        figure, axes = plt.subplots(2, 2, figsize=(COLUMN, 4.1), sharex=True)
        for name, method in data["perceptron"].items():
            steps = np.array(method["steps"])
            _line(axes[0, 0], steps, method["top"], name)
            _limit(axes[0, 0], method, name)
            _line(axes[0, 1], steps, method["top_warped"], name)
            _limit(axes[0, 1], method, name)
            _line(axes[1, 0], steps, method[f"squared_W{bits}"], name)
            _line(axes[1, 1], steps, method[f"true_W{bits}"], name)
            predicted = np.array(method[f"slope_W{bits}"]) + np.array(method[f"bend_W{bits}"])
            look = {**LOOKS[name], "linestyle": ":", "markerfacecolor": "white"}
            axes[1, 1].plot(steps, predicted.mean(axis=0), **look)
        for ax in axes[0]:
            ax.set_yscale("log")
            ax.set_ylim(0.5, 200)
            ax.annotate(
                "$2(1+\\mu)/\\eta$",
                (0.97, 0.97),
                xycoords="axes fraction",
                ha="right",
                va="top",
                fontsize=7.5,
            )
        for ax in axes[1]:
            ax.set_xlabel("step")
        axes[1, 0].set_ylim(bottom=0)
        axes[1, 0].legend(loc="lower left", fontsize=7, handlelength=2)
        titles = ["$\\lambda_{max}(H)$", "$\\lambda_{max}(H_Y)$", "$\\Vert q\\Vert^2$", "Cost of rounding"]
        letter(axes.ravel(), titles)
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    ends = {
        name: {key: np.mean(np.array(method[key])[:, -1]) for key in ("top", "top_warped")}
        for name, method in data["perceptron"].items()
    }
    options = "; ".join(
        f"{name}: η {method['options']['lr']:g} at first, momentum {method['options']['momentum']:g}"
        for name, method in data["perceptron"].items()
    )
    sgd, psgd = ends.values()
    above = {
        "SGD": _above(data["perceptron"]["SGD"], "top"),
        "PSGD": _above(data["perceptron"][f"PSGD → W{data['bits']}"], "top_warped"),
    }
    return (
        "A perceptron with hidden layers of 50 and 20 on the digits, SGD (circles) and PSGD towards "
        f"{data['bits']} bits (squares; first and last layer 8 bits), mean and standard deviation over "
        f"{len(data['seeds'])} seeds; loss of all training images with label smoothing, cosine schedule "
        f"({options}). (a) Largest eigenvalue of the Hessian H. (b) The same in PSGD's warped space, H_Y. "
        "SGD's own metric is that of (a), PSGD's that of (b) (claim F2). Lines without marks: the limit of "
        "stability 2(1+μ)/η of the method with that dash (they may coincide). Mean curvature in the own "
        f"metric lies above it at {above['SGD']} looks for SGD and at {above['PSGD']} for PSGD: there steps "
        "along the sharpest direction overshoot, and what ends it is the falling rate. (c) Squared distance "
        "to the grid, q = w̄ − w. (d) What rounding adds to the loss, and dotted with open marks the "
        "prediction "
        f"g·q + ½qᵀHq (claim F3). At the end λ_max(H) is {sgd['top']:.1f} for SGD and {psgd['top']:.1f} for "
        f"PSGD; λ_max(H_Y) {sgd['top_warped']:.1f} and {psgd['top_warped']:.1f}."
    )


def _above(method: Mapping[str, Any], key: str) -> str:
    """At how many looks the mean curvature lies above the limit, of how many."""
    rates, curvature = np.array(method["rates"]), np.mean(method[key], axis=0)
    return f"{int((curvature * rates > method['threshold']).sum())} of {rates.size}"


def _line(ax: Axes, steps: Any, values: Any, name: str) -> None:
    table = np.array(values)
    mean = table.mean(axis=0)
    ax.plot(steps, mean, label=name, **LOOKS[name])
    if len(table) > 1:
        spread = table.std(axis=0, ddof=1)
        ax.fill_between(
            steps, mean - spread, mean + spread, color=LOOKS[name]["color"], alpha=0.2, linewidth=0
        )


def _limit(ax: Axes, method: Mapping[str, Any], name: str) -> None:
    rates = np.array(method["rates"])
    moving = rates > 0
    look = {**LOOKS[name], "marker": None, "linewidth": 0.8}
    ax.plot(np.array(method["steps"])[moving], method["threshold"] / rates[moving], **look)
