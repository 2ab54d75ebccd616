"""The loss over a plane of two random directions around each network."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from psgd_ref.figures.paper.landscape import color_bar, plane
from psgd_ref.figures.style import COLUMN, INK, letter, styled


def draw(data: Mapping[str, Any]) -> Figure:
    """A panel for each network.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.landscape` gives it.
    """
    planes = data["random"]
    losses = np.concatenate([np.ravel(each["losses"]) for each in planes.values()])
    finite = losses[np.isfinite(losses)]
    with styled():
        figure, axes = plt.subplots(
            1, len(planes), figsize=(COLUMN, 2.6 if len(planes) > 1 else 3.7), sharey=True, squeeze=False
        )
        norm = LogNorm(finite.min(), finite.max())
        for ax, each in zip(axes[0], planes.values(), strict=True):
            plane(ax, each, norm)
            ax.plot(0, 0, "o", color="white", markeredgecolor=INK)
            ax.set(xlabel="direction 1", aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        axes[0, 0].set_ylabel("direction 2")
        color_bar(figure, norm, axes[0].tolist(), "horizontal")
        letter(axes[0], list(planes))
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    subject = (
        f"a run on {data['data']} ({data['run']}), {data['images']} training images,"
        if "run" in data
        else "the convolutional network on the training digits, SGD and PSGD towards "
        f"{data['bits']} bits (seed {data['seed']}),"
    )
    return (
        f"The cross-entropy around {subject} over two random directions in which every filter is as long as "
        "the network's own (Li et al. 2018; biases and batch norms stay): 1 changes every filter by its own "
        "length. Colour and contours are logarithmic, the same in all panels. Batch norms take the "
        "statistics of the images at every point. Such a plane is blind to the grid: it shows how wide a "
        "basin is, not what rounding costs."
    )
