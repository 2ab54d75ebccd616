"""Fig. 4(b), the eigenvalues: density of the whole spectrum, in w and in the warped space."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from psgd_ref.figures.paper.fig4_training import LOOKS
from psgd_ref.figures.style import COLUMN, letter, styled


def draw(data: Mapping[str, Any]) -> Figure:
    """Two panels on one axis of eigenvalues.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.fig4.run` gives it.
    """
    methods = data["perceptron"]
    spectra = [method["spectrum"] for method in methods.values()]
    high = 1.1 * max(max(each[key]) for each in spectra for key in each if key.endswith("nodes"))
    low = 1.1 * min(min(each[key]) for each in spectra for key in each if key.endswith("nodes"))
    x, width = np.linspace(low - 0.05 * high, high, 1200), 0.012 * high
    with styled():
        figure, axes = plt.subplots(2, 1, figsize=(COLUMN, 3.6), sharex=True, sharey=True)
        for ax, key in zip(axes, ("spectrum", "spectrum_warped"), strict=True):
            for name, method in methods.items():
                nodes, weights = (
                    np.array(method["spectrum"][f"{key}_{part}"]) for part in ("nodes", "weights")
                )
                curves = np.exp(-0.5 * ((x[:, None] - nodes) / width) ** 2) @ weights
                density = curves / (width * np.sqrt(2 * np.pi))
                look = {k: v for k, v in LOOKS[name].items() if k != "marker"}
                ax.semilogy(x, density, label=name, **look)
            ax.set(ylim=(1e-5, 30), ylabel="density")
            ax.grid(axis="y")
        axes[0].legend()
        axes[1].set_xlabel("eigenvalue")
        letter(axes, ["$H$", "$H_Y$, in the warped space"])
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the panels show, in words that need no other text."""
    ends = "; ".join(
        f"{name} from {min(method['spectrum']['spectrum_nodes']):.2g} to "
        f"{max(method['spectrum']['spectrum_nodes']):.2g}"
        for name, method in data["perceptron"].items()
    )
    return (
        "The eigenvalues of the Hessian at the end of training, as a density on a logarithmic scale: "
        f"perceptron of hidden layers 50 and 20 on the digits, seed {data['seeds'][0]}, SGD and PSGD towards "
        f"{data['bits']} bits. Stochastic Lanczos quadrature with one probe and 80 steps, each node drawn as "
        f"a normal curve. (a) In w: {ends}. (b) In the warped space of the 2-bit grid, with the term of the "
        "gradient. Nearly all eigenvalues are close to zero; those below it say that neither end is a strict "
        "minimum."
    )
