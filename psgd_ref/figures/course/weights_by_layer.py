"""The weights of every layer, one method a column, with logarithmic counts: Figs. 3 and 4(a)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, COLUMN, FAINT, VERMILION, styled

COLORS = ("#4D4D4D", BLUE, VERMILION)


def draw(data: Mapping[str, Any]) -> Figure:
    """A row for each layer, a column for each method.

    Parameters
    ----------
    data : mapping
        "bins", their number; and "methods", from a name to its layers, each with "name", "bits" and "counts".

    Returns
    -------
    Figure
        As wide as a column.
    """
    methods: Mapping[str, Sequence[Mapping[str, Any]]] = data["methods"]
    rows = len(next(iter(methods.values())))
    edges = np.linspace(-1, 1, data["bins"] + 1)
    with styled():
        figure, axes = plt.subplots(
            rows,
            len(methods),
            figsize=(COLUMN, 0.55 + 0.46 * rows),
            sharex=True,
            sharey="row",
            squeeze=False,
            gridspec_kw={"hspace": 0.03, "wspace": 0.05},
        )
        for column, (name, layers) in enumerate(methods.items()):
            axes[0, column].set_title(name, loc="center", fontsize=8)
            for row, layer in enumerate(layers):
                ax = axes[row, column]
                if layer["bits"] < 8:
                    levels = 2 ** (layer["bits"] - 1) - 1
                    for k in range(-levels, levels + 1):
                        ax.axvline(k / levels, color=FAINT, linewidth=0.7, linestyle=":", zorder=0)
                ax.stairs(layer["counts"], edges, fill=True, color=COLORS[column], baseline=0.5)
                ax.set_yscale("log")
                ax.set(ylim=(0.5, None), yticks=[1, 10, 100], xlim=(-1.05, 1.05), xticks=[-1, 0, 1])
                ax.tick_params(axis="y", labelsize=6)
                ax.minorticks_off()
                if column == 0:
                    ax.set_ylabel(
                        layer["name"].removesuffix(".weight"),
                        rotation=0,
                        ha="right",
                        va="center",
                        fontsize=7.5,
                    )
        figure.supxlabel("weight / largest weight of the layer", fontsize=8)
    return figure
