"""How an error shrinks with the step size: log-log, with the straight lines of whole orders to compare."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator

from psgd_ref.core.arguments import Array
from psgd_ref.figures import style

MARKERS = "os^Dv"
# Step sizes within this factor are written at the axis one by one: powers of ten would be one or none.
FEW = 100


def order(ax: Axes, rates: Array, gaps: Mapping[str, Array], slope: int, unit: str = "gap") -> None:
    """Draw each gap against the step size, and one grey line ∝ η^slope through the first gap's last point.

    Parameters
    ----------
    ax : Axes
        What is drawn on.
    rates : array
        The step sizes η, shape (m,).
    gaps : mapping
        From a name to positive errors, shape (m,).
    slope : int
        Of the grey line.
    unit : str
        The label of the vertical axis.
    """
    first = next(iter(gaps.values()))
    guide = first[-1] * (rates / rates[-1]) ** slope
    ax.loglog(rates, guide, color=style.FAINT, linestyle="-", linewidth=4, label=f"slope {slope}")
    for marker, (name, gap) in zip(MARKERS, gaps.items(), strict=False):
        ax.loglog(rates, gap, marker=marker, label=name)
    ax.set(xlabel=r"step size $\eta$", ylabel=unit)
    # Over less than two decades matplotlib would label minor ticks, which then overlap.
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
    if rates.max() < FEW * rates.min():
        ax.set_xticks(rates, [f"{rate:.3g}" for rate in rates])
        ax.xaxis.set_minor_locator(NullLocator())
    # Room above the lines for the legend.
    every = np.concatenate(list(gaps.values()))
    lowest, highest = float(every.min()), float(every.max())
    ax.set_ylim(top=highest * (highest / lowest) ** 0.4)
    ax.legend(loc="upper left")


def fitted_order(rates: Array, gap: Array) -> float:
    """The slope of ln gap against ln η by least squares."""
    return float(np.polyfit(np.log(rates), np.log(gap), 1)[0])
