"""The volume-preserving strength of every layer against one that was tuned for all of them."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from psgd_ref.figures.style import BLUE, INK, PAGE, letter, styled


def draw(layers: Sequence[dict[str, Any]], tuned: float) -> Figure:
    """Strengths (a) and what they mean for the step (b), by layer from input to output.

    Parameters
    ----------
    layers : sequence of dict
        As `psgd-ref evaluate --report --json` gives them, with `step` (its ends are equal) and `distance`
        (mean d).
    tuned : float
        The strength λ_s, one for all layers.

    Returns
    -------
    Figure
        As wide as the page.
    """
    number = range(1, len(layers) + 1)
    volume = [8 / layer["step"][0] for layer in layers]
    distance = [layer["distance"] for layer in layers]
    with styled():
        figure, (left, right) = plt.subplots(1, 2, figsize=(PAGE, 2.4))
        left.plot(number, volume, color=BLUE, linestyle="none", marker="s", label="λ* = 8/Δ, by layer")
        left.axhline(tuned, color=INK, label=f"λ = {tuned:g}, tuned, for all")
        means = [strength * d for strength, d in zip(volume, distance, strict=True)]
        right.plot(number, means, color=BLUE, linestyle="none", marker="s", label="λ* = 8/Δ")
        fixed = [tuned * d for d in distance]
        right.plot(number, fixed, color=INK, linestyle="none", marker="o", label=f"λ = {tuned:g}")
        left.set_ylabel("strength λ")
        right.set_ylabel("mean scale λ · mean d")
        for ax in (left, right):
            ax.set_ylim(bottom=0)
            ax.set_xlabel("quantized parameter, from the input on")
            ax.legend()
        left.set_ylim(top=1.45 * max(tuned, *volume))
        letter((left, right), ["Strength", "What multiplies the rate"])
    return figure
