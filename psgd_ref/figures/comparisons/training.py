"""The training-time comparison's picture: accuracy by method, one panel for each precision."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from psgd_ref.figures.style import BLUE, INK, PAGE, letter, styled

REESTIMATED = "re-estimated"


def draw(rows: Sequence[Any]) -> Figure:
    """Methods from top to bottom; squares where the model was trained for that precision, circles elsewhere.

    Filled marks have re-estimated batch norms. Bars are one standard deviation over seeds.

    Parameters
    ----------
    rows : sequence
        With `title`, `precision`, `own`, `batch_norm`, `mean` and `sd` (0 … 1, None without spread). Rows
        at full precision or at mixed bits are left out.
    """
    methods = list(dict.fromkeys(row.title for row in rows))[::-1]
    panels = list(dict.fromkeys(row.precision for row in rows if row.precision.weights is not None))
    panels.sort(key=lambda precision: (precision.activations is not None, -precision.weights))
    with styled():
        figure, axes = plt.subplots(
            1,
            len(panels),
            figsize=(PAGE, 0.9 + 0.19 * len(methods)),
            sharey=True,
            squeeze=False,
        )
        for ax, precision in zip(axes[0], panels, strict=True):
            for row in rows:
                if row.precision == precision:
                    fresh = row.batch_norm == REESTIMATED
                    color = BLUE if row.own else INK
                    ax.errorbar(
                        row.mean,
                        methods.index(row.title) + (0.15 if fresh else -0.15),
                        xerr=row.sd or 0,
                        marker="s" if row.own else "o",
                        color=color,
                        elinewidth=0.8,
                        markerfacecolor=color if fresh else "white",
                    )
            ax.set_xlim(0, 1.04)
            ax.set_xticks([0, 0.5, 1])
            ax.xaxis.set_major_formatter(PercentFormatter(1.0))
            ax.grid(axis="both")
        axes[0][0].set_yticks(range(len(methods)), methods)
        axes[0][len(panels) // 2].set_xlabel("test accuracy")
        letter(axes[0], [str(precision) for precision in panels])
        looks = [
            ("its own precision", BLUE, "s", BLUE),
            ("another: min-max grid", INK, "o", INK),
            ("batch norms as trained (filled: re-estimated)", INK, "o", "white"),
        ]
        handles = [
            axes[0][0].plot([], [], linestyle="none", marker=m, color=c, markerfacecolor=f, label=label)[0]
            for label, c, m, f in looks
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
