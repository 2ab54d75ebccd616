"""Fig. 4(b) in one look: which factor of the cost of rounding PSGD makes smaller."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from psgd_ref.figures.paper.fig4_cost import _last
from psgd_ref.figures.style import BLUE, COLUMN, FAINT, VERMILION, styled

ROWS = {
    "top": "$\\lambda_{max}(H)$",
    "top_warped": "$\\lambda_{max}(H_Y)$",
    "squared": "$\\Vert q\\Vert^2$",
    "slope": "$|g\\cdot q|$",
    "bend": "½ $q^T H q$",
    "true": "true cost",
}
LOOKS = (("#4D4D4D", "o"), (BLUE, "s"), (VERMILION, "^"))


def draw(data: Mapping[str, Any]) -> Figure:
    """PSGD's value over SGD's, seed by seed, on a logarithmic axis.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.fig4.run` gives it.
    """
    with styled():
        figure, ax = plt.subplots(figsize=(COLUMN, 2.9))
        ax.axvline(1, color=FAINT, linewidth=1.2, linestyle="-", zorder=0)
        for i, (name, factors) in enumerate(ratios(data).items()):
            color, marker = LOOKS[i % len(LOOKS)]
            for row, values in enumerate(factors.values()):
                logs = np.log(values)
                spread = logs.std(ddof=1) if len(logs) > 1 else 0.0
                middle = np.exp(logs.mean())
                bars = [[middle - np.exp(logs.mean() - spread)], [np.exp(logs.mean() + spread) - middle]]
                ax.errorbar(
                    middle,
                    row + 0.22 * (i - 1),
                    xerr=bars,
                    color=color,
                    marker=marker,
                    linestyle="none",
                    elinewidth=0.9,
                    label=name if row == 0 else None,
                )
        ax.set_xscale("log")
        ax.set_yticks(range(len(ROWS)), list(ROWS.values()))
        ax.invert_yaxis()
        ax.set_xlabel("PSGD / SGD")
        ax.grid(axis="x")
        figure.legend(loc="outside lower center", ncols=1, fontsize=7.5)
    return figure


def caption(data: Mapping[str, Any]) -> str:
    """What the picture shows, in words that need no other text."""
    words = []
    for name, factors in ratios(data).items():
        top, squared, true = (np.exp(np.mean(np.log(factors[key]))) for key in ("top", "squared", "true"))
        words.append(f"{name}: λ_max(H) × {top:.2f}, ‖q‖² × {squared:.2f}, true cost × {true:.2f}")
    return (
        "PSGD against SGD, quantity by quantity, each rounded to the bits that PSGD was trained for; left of "
        "the grey line PSGD has less. Geometric mean and standard deviation of the ratio over "
        f"{len(data['seeds'])} seeds. H: Hessian of the training loss; H_Y: the same in the warped space of "
        "PSGD's grid; q: the way to the grid; the true cost is what rounding adds to the loss. The paper's "
        "Fig. 4, as far as it is remembered, shows PSGD's eigenvalues to be far larger than SGD's. Here: "
        f"{'; '.join(words)}."
    )


def ratios(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """PSGD's value over SGD's of every quantity, for each network and number of bits.

    Parameters
    ----------
    data : mapping
        As `experiments.reproduction.fig4.run` gives it.

    Returns
    -------
    dict
        By network and bits, then by quantity: a value for each seed, without its sign, as signs may differ.
    """
    perceptron = _last(data["perceptron"])
    found: dict[str, dict[str, Any]] = {}
    cases = {f"perceptron, {data['bits']} bits": (perceptron, f"PSGD → W{data['bits']}", data["bits"])}
    for bits in (3, 2):
        cases[f"convnet, {bits} bits"] = (data["convnet"], f"PSGD → W{bits}", bits)
    for name, (methods, method, bits) in cases.items():
        found[name] = {}
        for key in ROWS:
            column = key if key.startswith("top") else f"{key}_W{bits}"
            found[name][key] = np.abs(np.array(methods[method][column]) / np.array(methods["SGD"][column]))
    return found
