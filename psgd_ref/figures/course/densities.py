"""A histogram with the density that theory gives for it."""

from matplotlib.axes import Axes

from psgd_ref.core.arguments import Array
from psgd_ref.figures import style


def density_panel(ax: Axes, offset: Array, x: Array, density: Array, method: str, bins: int = 60) -> None:
    """Draw the histogram of offsets w − w̄ in grey and the formula's density over it.

    Parameters
    ----------
    ax : Axes
        What is drawn on.
    offset : array
        Shape (m,).
    x, density : array
        The curve, shape (k,); the histogram reaches from the first x to the last.
    method : str
        A name of `style.METHODS`, whose colour the curve has.
    bins : int
        Of the histogram.
    """
    ax.hist(offset, bins=bins, range=(x[0], x[-1]), density=True, color=style.FAINT)
    ax.plot(x, density, color=style.METHODS[method]["color"], linestyle="-")
    ax.set(xlabel=r"$w-\bar w$")
